// SPDX-License-Identifier: Apache-2.0
//! Nothing of a pod stays when its manifest is gone.

use crate::{pod, tiny, with};
use gorae_tests::kubelet::{ALPHA, on_a_kubelet, ready};
use serde_json::json;

/// It takes up to a minute: so often kubelet collects what has ended.
#[test]
fn a_pod_is_removed_with_its_manifest_to_the_last_sandbox() {
    on_a_kubelet(ALPHA, async |node, kubelet| {
        let container = with(
            tiny("c", &["sleep"]),
            json!({
                "ports": [{"containerPort": 80, "hostPort": 12_510}],
                "volumeMounts": [{"name": "memory", "mountPath": "/memory"}],
            }),
        );
        let volumes = json!({"volumes": [{"name": "memory", "emptyDir": {"medium": "Memory"}}]});
        let pod = kubelet.run("gone", with(pod(json!([container])), volumes));
        pod.until("it is ready", ready).await;
        pod.withdraw();
        pod.until_removed().await;
        assert_eq!(node.cri().list_pods().await.unwrap(), []);
        assert_eq!(node.cri().list_containers(None).await.unwrap(), []);
    });
}
