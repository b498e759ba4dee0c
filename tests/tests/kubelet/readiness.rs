// SPDX-License-Identifier: Apache-2.0
//! Probes, and what a ready pod serves.

use crate::{pod, shell, tiny, with};
use gorae_tests::kubelet::stream::Transport;
use gorae_tests::kubelet::{ALPHA, DEFAULT, Gates, container, on_a_kubelet, ready};
use gorae_tests::web;
use serde_json::json;

/// The page decides whether the pod is ready; a host port serves it.
fn a_page_makes_a_pod_ready(gates: Gates) {
    on_a_kubelet(gates, async |node, kubelet| {
        let www = node.directory("www");
        let server = with(
            tiny("web", &["serve", "80", "/www"]),
            json!({
                "ports": [{"containerPort": 80, "hostPort": 12_500}],
                "volumeMounts": [{"name": "www", "mountPath": "/www"}],
                "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 1},
            }),
        );
        let volumes = json!({"volumes": [{"name": "www", "hostPath": {"path": www}}]});
        let pod = kubelet.run("web", with(pod(json!([server])), volumes));
        let running = pod.until("its container runs", |pod| !container(pod, "web")["state"]["running"].is_null()).await;
        assert!(!ready(&running), "{running}");

        std::fs::write(www.join("index.html"), "page").expect("the file is written");
        let now = pod.until("it is ready", ready).await;
        let address = now["status"]["podIP"].as_str().expect("a ready pod has an address").to_owned();
        assert_eq!(web::get(&format!("{address}:80"), "/").await.expect("an answer"), (200, "page".into()));
        assert_eq!(web::get("127.0.0.1:12500", "/").await.expect("an answer"), (200, "page".into()));

        std::fs::remove_file(www.join("index.html")).expect("the file is removed");
        let now = pod.until("it is not ready any more", |pod| !ready(pod)).await;
        assert_eq!(container(&now, "web")["restartCount"], 0);
        pod.remove().await;
        assert!(web::get("127.0.0.1:12500", "/").await.is_err(), "the host port is closed");
    });
}

#[test]
fn an_http_probe_decides_whether_a_pod_is_ready_and_its_host_port_serves() {
    a_page_makes_a_pod_ready(DEFAULT);
}

#[test]
fn the_same_for_a_kubelet_that_learns_by_events() {
    a_page_makes_a_pod_ready(ALPHA);
}

#[test]
fn exec_probes_decide_whether_a_container_is_ready_and_whether_it_lives() {
    on_a_kubelet(DEFAULT, async |_, kubelet| {
        let probed = with(
            shell("c", "trap 'exit 0' TERM; sleep 1000 & wait"),
            json!({
                "readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1},
                "livenessProbe": {
                    "exec": {"command": ["test", "!", "-e", "/tmp/dead"]}, "periodSeconds": 1, "failureThreshold": 1,
                },
            }),
        );
        let pod = kubelet.run("probed", pod(json!([probed])));
        let now = pod.until("it runs", |pod| !container(pod, "c")["state"]["running"].is_null()).await;
        assert!(!ready(&now), "{now}");
        let streams = kubelet.streams(Transport::Spdy);
        assert_eq!(streams.exec(&pod, "c", &["touch", "/tmp/ready"], "").await.code, 0);
        pod.until("it is ready", ready).await;
        assert_eq!(streams.exec(&pod, "c", &["touch", "/tmp/dead"], "").await.code, 0);
        let now = pod.until("it was restarted", |pod| container(pod, "c")["restartCount"] == 1).await;
        assert_eq!(container(&now, "c")["lastState"]["terminated"]["exitCode"], 0, "it ended by itself: {now}");
        pod.remove().await;
    });
}
