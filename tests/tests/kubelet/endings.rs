// SPDX-License-Identifier: Apache-2.0
//! How containers end, and what kubelet tells of it.

use crate::{pod, shell, tiny, with};
use gorae_tests::kubelet::{ALPHA, DEFAULT, Gates, container, on_a_kubelet};
use serde_json::{Value, json};

/// The last end of a container that runs again, or is going to.
fn last_end<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let status = container(pod, name);
    let now = &status["state"]["terminated"];
    if now.is_null() { &status["lastState"]["terminated"] } else { now }
}

fn a_crash_is_restarted(gates: Gates) {
    on_a_kubelet(gates, async |_, kubelet| {
        let pod = kubelet.run("crash", pod(json!([shell("c", "echo going down; exit 3")])));
        let waiting = |pod: &Value| container(pod, "c")["state"]["waiting"]["reason"] == "CrashLoopBackOff";
        // With events kubelet looks again after five seconds, when the back-off of two is over.
        if gates == DEFAULT {
            pod.until("kubelet backs off", waiting).await;
        }
        let twice = |pod: &Value| container(pod, "c")["restartCount"].as_u64() >= Some(2);
        let now = pod.until("it was restarted twice", twice).await;
        let end = last_end(&now, "c");
        assert_eq!((&end["exitCode"], &end["reason"]), (&json!(3), &json!("Error")), "{now}");
        assert_eq!(kubelet.api().get(&pod.path("containerLogs", "/c")).await, "going down\n");
        if gates == ALPHA {
            let metrics = kubelet.api().get("/metrics").await;
            assert!(metrics.contains("\nkubelet_evented_pleg_connection_success_count 1\n"), "one stream of events");
            assert!(metrics.contains("\nkubelet_evented_pleg_connection_error_count 0\n"), "and it never broke");
        }
        pod.remove().await;
    });
}

#[test]
fn a_crash_is_restarted_with_back_off_and_its_code_is_told() {
    a_crash_is_restarted(DEFAULT);
}

/// Such a kubelet lists pods every five minutes only, and falls back to every second when it gets no events.
#[test]
fn events_alone_tell_a_kubelet_of_crashes() {
    a_crash_is_restarted(ALPHA);
}

#[test]
fn what_runs_out_of_memory_is_told_as_such() {
    on_a_kubelet(DEFAULT, async |_, kubelet| {
        let hungry = with(tiny("hungry", &["eat", "64"]), json!({"resources": {"limits": {"memory": "16Mi"}}}));
        let pod = kubelet.run("oom", pod(json!([hungry, tiny("other", &["sleep"])])));
        let now = pod.until("the kernel killed it", |pod| !last_end(pod, "hungry").is_null()).await;
        let end = last_end(&now, "hungry");
        assert_eq!((&end["reason"], &end["exitCode"]), (&json!("OOMKilled"), &json!(137)), "{now}");
        assert_eq!(container(&now, "other")["restartCount"], 0, "{now}");
        pod.remove().await;
    });
}

#[test]
fn a_pod_that_runs_once_succeeds_or_fails_with_its_containers() {
    on_a_kubelet(DEFAULT, async |_, kubelet| {
        let once = |code: &str| with(pod(json!([tiny("c", &["exit", code])])), json!({"restartPolicy": "Never"}));
        let (good, bad) = (kubelet.run("good", once("0")), kubelet.run("bad", once("7")));
        let now = good.until("it has succeeded", |pod| pod["status"]["phase"] == "Succeeded").await;
        assert_eq!(last_end(&now, "c")["reason"], "Completed", "{now}");
        let now = bad.until("it has failed", |pod| pod["status"]["phase"] == "Failed").await;
        let end = last_end(&now, "c");
        assert_eq!((&end["exitCode"], &end["reason"]), (&json!(7), &json!("Error")), "{now}");
        good.remove().await;
        bad.remove().await;
    });
}
