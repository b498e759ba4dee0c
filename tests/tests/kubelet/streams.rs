// SPDX-License-Identifier: Apache-2.0
//! Logs, exec, attach and port-forward through kubelet.

use crate::{pod, shell, tiny, with};
use gorae_tests::kubelet::stream::TRANSPORTS;
use gorae_tests::kubelet::{DEFAULT, on_a_kubelet, ready};
use gorae_tests::web;
use serde_json::json;

#[test]
fn logs_come_whole_in_part_with_times_and_of_the_run_before() {
    on_a_kubelet(DEFAULT, async |_, kubelet| {
        let twice = "if [ -e /kept/1 ]; then echo second run; trap 'exit 0' TERM; sleep 1000 & wait; fi; \
                     touch /kept/1; for i in 1 2 3; do echo line $i; done; echo problem >&2; exit 1";
        let kept = with(shell("c", twice), json!({"volumeMounts": [{"name": "kept", "mountPath": "/kept"}]}));
        let spec = with(pod(json!([kept])), json!({"volumes": [{"name": "kept", "emptyDir": {}}]}));
        let pod = kubelet.run("logs", spec);
        pod.until("it runs again", |pod| ready(pod) && pod["status"]["containerStatuses"][0]["restartCount"] == 1)
            .await;
        let logs = async |query: &str| kubelet.api().get(&pod.path("containerLogs", &format!("/c{query}"))).await;
        assert_eq!(logs("").await, "second run\n");
        assert_eq!(logs("?previous=true&tailLines=2").await, "line 3\nproblem\n");
        assert_eq!(logs("?previous=true&limitBytes=8").await, "line 1\nl");
        let timed = logs("?previous=true&timestamps=true&tailLines=1").await;
        assert!(timed.starts_with("20") && timed.ends_with("Z problem\n"), "{timed:?}");
        pod.remove().await;
    });
}

#[test]
fn exec_carries_input_output_errors_and_the_exit_code() {
    on_a_kubelet(DEFAULT, async |_, kubelet| {
        let pod = kubelet.run("exec", pod(json!([shell("c", "trap 'exit 0' TERM; sleep 1000 & wait")])));
        pod.until("it is ready", ready).await;
        for transport in TRANSPORTS {
            let streams = kubelet.streams(transport);
            let script = "read a; echo out $a; echo err $a >&2; cat | wc -c; exit 42";
            let input = format!("first\n{}", "x".repeat(300_000));
            let out = streams.exec(&pod, "c", &["sh", "-c", script], &input).await;
            let seen = (out.stdout.as_str(), out.stderr.as_str(), out.code);
            assert_eq!(seen, ("out first\n300000\n", "err first\n", 42), "{transport:?}");
            let many = streams.exec(&pod, "c", &["seq", "1", "200000"], "").await;
            assert_eq!((many.stdout.lines().count(), many.code), (200_000, 0), "{transport:?}");
        }
        pod.remove().await;
    });
}

#[test]
fn attach_joins_the_containers_own_streams() {
    on_a_kubelet(DEFAULT, async |_, kubelet| {
        let listening = with(
            shell("c", "while read line; do echo got $line; done; echo end of input; exit 0"),
            json!({"stdin": true, "stdinOnce": true}),
        );
        for (name, transport) in ["spdy", "websocket"].into_iter().zip(TRANSPORTS) {
            let spec = with(pod(json!([listening])), json!({"restartPolicy": "Never"}));
            let pod = kubelet.run(name, spec);
            pod.until("it is ready", ready).await;
            let out = kubelet.streams(transport).attach(&pod, "c", "one\ntwo\n").await;
            let seen = (out.stdout.as_str(), out.stderr.as_str(), out.code);
            assert_eq!(seen, ("got one\ngot two\nend of input\n", "", 0), "{transport:?}");
            pod.until("it has succeeded", |pod| pod["status"]["phase"] == "Succeeded").await;
            pod.remove().await;
        }
    });
}

#[test]
fn a_port_is_forwarded_into_the_pod() {
    on_a_kubelet(DEFAULT, async |node, kubelet| {
        let www = node.directory("www");
        std::fs::write(www.join("index.html"), "y".repeat(500_000)).unwrap();
        let mounts = json!({"volumeMounts": [{"name": "www", "mountPath": "/www"}]});
        let server = with(tiny("web", &["serve", "8080", "/www"]), mounts);
        let volumes = json!({"volumes": [{"name": "www", "hostPath": {"path": www}}]});
        let pod = kubelet.run("forward", with(pod(json!([server])), volumes));
        pod.until("it is ready", ready).await;
        for transport in TRANSPORTS {
            let forward = kubelet.streams(transport).forward(&pod, 8080).await;
            for _ in 0..5 {
                let (status, page) = web::get(&forward.address, "/").await.unwrap();
                assert_eq!((status, page.len()), (200, 500_000), "{transport:?}");
            }
            forward.end().await;
        }
        pod.remove().await;
    });
}
