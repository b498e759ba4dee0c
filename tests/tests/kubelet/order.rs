// SPDX-License-Identifier: Apache-2.0
//! Containers that come before and after others, and hooks.

use crate::{pod, shell, tiny, with};
use gorae_tests::kubelet::{DEFAULT, container, on_a_kubelet, ready};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// A directory of the machine at `/notes` of every container that mounts it.
fn notes(spec: Value, directory: &Path) -> Value {
    with(spec, json!({"volumes": [{"name": "notes", "hostPath": {"path": directory}}]}))
}

fn noting(container: Value) -> Value {
    with(container, json!({"volumeMounts": [{"name": "notes", "mountPath": "/notes"}]}))
}

fn noted(directory: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(directory.join("order")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Notes its begin and its end, which SIGTERM asks for.
fn noting_service(name: &str) -> Value {
    let script = format!(
        "trap 'echo {name} ends >>/notes/order; exit 0' TERM; echo {name} begins >>/notes/order; sleep 1000 & wait"
    );
    noting(shell(name, &script))
}

#[test]
fn init_containers_and_sidecars_begin_in_order_and_end_in_reverse() {
    on_a_kubelet(DEFAULT, async |node, kubelet| {
        let directory = node.directory("notes");
        let first = noting(shell("first", "echo first >>/notes/order; sleep 1; echo first done >>/notes/order"));
        let started = json!({"exec": {"command": ["grep", "sidecar", "/notes/order"]}, "periodSeconds": 1});
        let sidecar = with(noting_service("sidecar"), json!({"restartPolicy": "Always", "startupProbe": started}));
        let second = noting(shell("second", "echo second >>/notes/order"));
        let inits = json!({"initContainers": [first, sidecar, second], "terminationGracePeriodSeconds": 10});
        let spec = with(pod(json!([noting_service("main")])), inits);
        let pod = kubelet.run("ordered", notes(spec, &directory));
        let now = pod.until("it is ready", ready).await;
        let begun = ["first", "first done", "sidecar begins", "second", "main begins"];
        assert_eq!(noted(&directory), begun);
        for name in ["first", "second"] {
            let ended = &container(&now, name)["state"]["terminated"];
            assert_eq!((&ended["reason"], &ended["exitCode"]), (&json!("Completed"), &json!(0)), "{now}");
        }
        assert_eq!(container(&now, "sidecar")["started"], true, "{now}");
        pod.remove().await;
        assert_eq!(noted(&directory)[begun.len()..], ["main ends", "sidecar ends"]);
    });
}

#[test]
fn hooks_run_after_the_start_and_before_the_stop_within_the_grace_period() {
    on_a_kubelet(DEFAULT, async |node, kubelet| {
        let directory = node.directory("notes");
        let hook = |script: &str| json!({"exec": {"command": ["sh", "-c", script]}});
        let hooks = json!({
            "lifecycle": {
                "postStart": hook("echo post-start >>/notes/order"),
                "preStop": hook("echo pre-stop >>/notes/order; sleep 1; echo pre-stop done >>/notes/order"),
            },
        });
        let spec = pod(json!([with(noting_service("c"), hooks)]));
        let spec = with(spec, json!({"terminationGracePeriodSeconds": 10}));
        let pod = kubelet.run("hooked", notes(spec, &directory));
        pod.until("it is ready", ready).await;
        let mut begun = noted(&directory);
        begun.sort();
        assert_eq!(begun, ["c begins", "post-start"]);
        pod.remove().await;
        assert_eq!(noted(&directory)[2..], ["pre-stop", "pre-stop done", "c ends"]);
    });
}

#[test]
fn who_does_not_end_in_the_grace_period_is_killed_after_it() {
    on_a_kubelet(DEFAULT, async |_, kubelet| {
        let spec = with(pod(json!([tiny("c", &["stubborn"])])), json!({"terminationGracePeriodSeconds": 3}));
        let pod = kubelet.run("stubborn", spec);
        pod.until("it is ready", ready).await;
        let begun = Instant::now();
        pod.remove().await;
        let took = begun.elapsed();
        assert!((Duration::from_secs(3)..Duration::from_secs(10)).contains(&took), "{took:?}");
    });
}
