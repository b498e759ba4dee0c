// SPDX-License-Identifier: Apache-2.0
//! The list that most clusters have in one form or another: a bridge, host-local addresses, and plugins behind it.

use super::frame::{
    FILE, addresses, bridge, is_in_use, is_of_a_pod, list, node_reaches, on_a_cni_node, reaches, server, shell,
};
use gorae_tests::{cni, web};
use serde_json::json;

const ALL: [&str; 7] = ["bridge", "host-local", "loopback", "portmap", "firewall", "bandwidth", "tuning"];

/// Two families, host ports, a firewall, limits of bandwidth, and a sysctl.
fn everything() -> String {
    let plugins = json!([
        bridge("cbr0", &["10.77.0.0/24", "fd00:77::/64"]),
        {"type": "portmap", "capabilities": {"portMappings": true}},
        {"type": "firewall"},
        {"type": "bandwidth", "capabilities": {"bandwidth": true}},
        {"type": "tuning", "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}},
    ]);
    list("k8s-pod-network", "1.0.0", &plugins)
}

#[test]
fn pods_of_a_usual_list_reach_each_other_in_both_families_and_leave_nothing() {
    on_a_cni_node(&ALL, async |node, cni| {
        is_in_use(node, cni, FILE, &everything()).await;
        let rate = |config: &mut gorae_proto::cri::PodSandboxConfig| {
            config.annotations.insert("kubernetes.io/ingress-bandwidth".into(), "10M".into());
        };
        let a = node.pod("a").port(12_401, 80).with(rate).run().await;
        let b = node.pod("b").run().await;
        let (at_a, at_b) = (addresses(&a).await, addresses(&b).await);
        for at in [&at_a, &at_b] {
            assert!(at.len() == 2 && at[0].starts_with("10.77.0.") && at[1].starts_with("fd00:77::"), "{at:?}");
        }
        server(node, &a, "page-a").await;
        let shell = shell(&b).await;
        reaches(&shell, &at_a, "page-a").await;
        for address in &at_a {
            node_reaches(address, "page-a").await;
        }
        assert_eq!(web::get_soon("127.0.0.1:12401", "/").await, (200, "page-a".into()), "portmap's");
        let kept = cni::kept();
        assert!(at_a.iter().all(|ip| kept.iter().any(|file| file.ends_with(&format!("/{ip}")))), "{kept:?}");
        assert!(cni::rules().iter().any(|rule| is_of_a_pod(rule)), "{:?}", cni::rules());
        let filter = shell.sh("cat /proc/sys/net/ipv4/conf/eth0/arp_filter; ip address show lo").await.stdout;
        assert!(filter.starts_with("1\n") && filter.contains("127.0.0.1/8") && filter.contains("::1/128"), "{filter}");
        a.stop().await;
        assert!(web::get("127.0.0.1:12401", "/").await.is_err(), "the port is closed with the pod");
        assert_eq!(cni::kept().len(), 2, "{:?}", cni::kept());
        assert_eq!(cni::pins().len(), 1, "{:?}", cni::pins());
        node.kill_and_restart().await;
        assert_eq!(addresses(&b).await, at_b, "a pod keeps its addresses");
        b.stop().await;
        b.stop().await;
    });
}
