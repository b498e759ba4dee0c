// SPDX-License-Identifier: Apache-2.0
//! Pods at the end of a link of their own.

use super::frame::{FILE, addresses, is_in_use, list, node_reaches, on_a_cni_node, reaches, server, shell};
use serde_json::json;

#[test]
fn pods_at_links_of_their_own_reach_each_other_by_way_of_the_node() {
    on_a_cni_node(&["ptp", "host-local", "portmap"], async |node, cni| {
        let routes = json!([{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]);
        let ranges = json!([[{"subnet": "10.78.0.0/24"}], [{"subnet": "fd00:78::/64"}]]);
        let ptp = json!({"type": "ptp", "ipMasq": true, "mtu": 1460,
            "ipam": {"type": "host-local", "ranges": ranges, "routes": routes}});
        let portmap = json!({"type": "portmap", "capabilities": {"portMappings": true}});
        is_in_use(node, cni, FILE, &list("gce-like", "0.3.1", &json!([ptp, portmap]))).await;
        let (a, b) = (node.pod("a").run().await, node.pod("b").run().await);
        let at_a = addresses(&a).await;
        server(node, &a, "page").await;
        let shell = shell(&b).await;
        reaches(&shell, &at_a[..1], "page").await;
        node_reaches(&at_a[0], "page").await;
        assert_eq!(at_a.len(), 2, "{at_a:?}");
        assert_eq!(shell.sh("cat /sys/class/net/eth0/mtu").await.stdout, "1460\n");
    });
}
