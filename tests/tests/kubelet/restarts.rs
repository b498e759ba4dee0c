// SPDX-License-Identifier: Apache-2.0
//! Kubelet and goraed die and come back: pods stay.

use crate::{pod, tiny, with};
use gorae_tests::kubelet::stream::Transport;
use gorae_tests::kubelet::{ALPHA, DEFAULT, Gates, container, on_a_kubelet, ready};
use serde_json::{Value, json};

fn identity(pod: &Value) -> (String, u64) {
    let status = container(pod, "c");
    (status["containerID"].as_str().unwrap_or_default().to_owned(), status["restartCount"].as_u64().unwrap_or(0))
}

fn kill_in_turn(gates: Gates) {
    on_a_kubelet(gates, async |node, kubelet| {
        let www = node.directory("www");
        std::fs::write(www.join("index.html"), "page").expect("the file is written");
        let probed = with(
            tiny("c", &["serve", "80", "/www"]),
            json!({
                "volumeMounts": [{"name": "www", "mountPath": "/www"}],
                "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 1, "failureThreshold": 1},
            }),
        );
        let volumes = json!({"volumes": [{"name": "www", "hostPath": {"path": www}}]});
        let kept = kubelet.run("kept", with(pod(json!([probed])), volumes));
        let withdrawn = kubelet.run("withdrawn", pod(json!([tiny("c", &["sleep"])])));
        withdrawn.until("it is ready", ready).await;
        let before = identity(&kept.until("it is ready", ready).await);

        kubelet.kill();
        withdrawn.withdraw();
        kubelet.start_again().await;
        let now = kept.until("kubelet finds it ready again", ready).await;
        assert_eq!(identity(&now), before, "after a kill of kubelet");

        // While goraed is down its socket does not answer.
        kubelet.expect("code = Unavailable");
        node.kill_and_restart().await;
        std::fs::remove_file(www.join("index.html")).expect("the file is removed");
        kept.until("kubelet sees it not ready", |pod| !ready(pod)).await;
        std::fs::write(www.join("index.html"), "page").expect("the file is written");
        let now = kept.until("kubelet sees it ready again", ready).await;
        assert_eq!(identity(&now), before, "after a kill of goraed");
        withdrawn.until_ended().await;

        kubelet.kill();
        node.kill_and_restart().await;
        kubelet.start_again().await;
        let now = kept.until("kubelet finds it ready once more", ready).await;
        assert_eq!(identity(&now), before, "after a kill of both");

        let out = kubelet.streams(Transport::Spdy).exec(&kept, "c", &["/tiny", "echo", "hi"], "").await;
        assert_eq!((out.stdout.as_str(), out.code), ("hi\n", 0));
        kept.remove().await;
    });
}

#[test]
fn pods_stay_when_kubelet_and_goraed_are_killed_in_turn() {
    kill_in_turn(DEFAULT);
}

#[test]
fn a_kubelet_that_learns_by_events_finds_its_way_back() {
    kill_in_turn(ALPHA);
}
