// SPDX-License-Identifier: Apache-2.0
//! What kubelet mounts into containers.

use crate::{pod, shell, with};
use gorae_tests::TINY;
use gorae_tests::kubelet::stream::Transport;
use gorae_tests::kubelet::{DEFAULT, on_a_kubelet, ready};
use serde_json::json;

const SLEEP: &str = "trap 'exit 0' TERM; sleep 1000 & wait";

#[test]
fn volumes_of_every_kind_that_needs_no_api_server_are_there() {
    on_a_kubelet(DEFAULT, async |node, kubelet| {
        let host = node.directory("host");
        std::fs::write(host.join("from-host"), "host").unwrap();
        let mounts = json!({"volumeMounts": [
            {"name": "disk", "mountPath": "/disk"},
            {"name": "memory", "mountPath": "/memory"},
            {"name": "disk", "mountPath": "/part", "subPath": "part"},
            {"name": "host", "mountPath": "/host"},
            {"name": "host", "mountPath": "/host-ro", "readOnly": true},
            {"name": "about", "mountPath": "/about"},
            {"name": "image", "mountPath": "/image"},
        ]});
        let volumes = json!({"volumes": [
            {"name": "disk", "emptyDir": {}},
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
            {"name": "host", "hostPath": {"path": host, "type": "Directory"}},
            {"name": "about", "downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {"name": "image", "image": {"reference": TINY}},
        ]});
        let containers = json!([with(shell("a", SLEEP), mounts.clone()), with(shell("b", SLEEP), mounts)]);
        let pod = kubelet.run("volumes", with(pod(containers), volumes));
        pod.until("it is ready", ready).await;
        let streams = kubelet.streams(Transport::Spdy);
        let sh = async |container: &str, script: &str| {
            let out = streams.exec(&pod, container, &["sh", "-c", script], "").await;
            format!("{}{}", out.stdout, out.stderr)
        };
        assert_eq!(sh("a", "echo d >/disk/d; echo m >/memory/m; echo p >/part/p; echo h >/host/h").await, "");
        assert_eq!(sh("b", "cat /disk/d /memory/m /disk/part/p /host-ro/h /host/from-host").await, "d\nm\np\nh\nhost");
        assert_eq!(std::fs::read_to_string(host.join("h")).unwrap(), "h\n");
        assert_eq!(sh("a", "df -k /memory | awk 'END { print $2 }'").await, "8192\n");
        assert!(sh("a", "echo x >/host-ro/x").await.contains("Read-only file system"));
        assert_eq!(sh("a", "cat /about/name").await, pod.name());
        assert_eq!(sh("a", "test -x /image/tiny && echo there").await, "there\n");
        assert_eq!(sh("a", "hostname; grep -c $(hostname) /etc/hosts").await, format!("{}\n1\n", pod.name()));
        pod.remove().await;
    });
}
