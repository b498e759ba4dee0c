// SPDX-License-Identifier: Apache-2.0
//! The list that most clusters have in one form or another: a bridge, host-local addresses, and plugins behind it.

use super::frame::{
    FILE, addresses, bridge, fetch, is_in_use, is_of_a_pod, list, node_reaches, on_a_cni_node, reaches, server, shell,
};
use gorae_proto::cri::{IdMapping, NamespaceMode, PodSandboxStatusRequest, UserNamespace};
use gorae_tests::pod::namespaces;
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

#[test]
fn the_node_maps_host_ports_itself_where_no_plugin_does() {
    on_a_cni_node(&["bridge", "host-local"], async |node, cni| {
        let plugins = json!([bridge("br1", &["10.81.0.0/24", "fd00:81::/64"])]);
        is_in_use(node, cni, FILE, &list("one", "1.0.0", &plugins)).await;
        let pod = node.pod("a").port(12_404, 80).run().await;
        server(node, &pod, "page").await;
        assert_eq!(web::get_soon("127.0.0.1:12404", "/").await, (200, "page".into()));
        // From another pod, by way of the node's own address.
        let out = fetch(&shell(&node.pod("b").run().await).await, "10.81.0.1:12404").await;
        assert_eq!((out.code, out.stdout.as_str()), (0, "page"), "{out:?}");
        node.kill_and_restart().await;
        assert_eq!(web::get_soon("127.0.0.1:12404", "/").await, (200, "page".into()));
        pod.stop().await;
        assert!(web::get("127.0.0.1:12404", "/").await.is_err(), "the port is closed with the pod");
        node.pod("c").port(12_404, 80).run().await;
    });
}

#[test]
fn agents_are_told_the_namespace_and_the_result_of_a_pod() {
    on_a_cni_node(&["bridge", "host-local"], async |node, cni| {
        is_in_use(node, cni, FILE, &list("one", "1.0.0", &json!([bridge("br1", &["10.81.0.0/24"])]))).await;
        let pod = node.pod("a").run().await;
        let request = PodSandboxStatusRequest { pod_sandbox_id: pod.id().to_owned(), verbose: true };
        let info = node.cri().runtime().pod_sandbox_status(request).await.unwrap().into_inner().info;
        let info: serde_json::Value = serde_json::from_str(&info["info"]).unwrap();
        let namespaces = info["runtimeSpec"]["linux"]["namespaces"].as_array().unwrap().clone();
        let netns = namespaces.iter().find(|namespace| namespace["type"] == "network").unwrap();
        let path = netns["path"].as_str().unwrap();
        assert!(path.starts_with("/var/run/netns/cni-"), "{info}");
        let name = path.rsplit('/').next().unwrap();
        let out =
            std::process::Command::new("ip").args(["netns", "exec", name, "ip", "-4", "address"]).output().unwrap();
        assert!(String::from_utf8_lossy(&out.stdout).contains(&addresses(&pod).await[0]), "{out:?}");
        assert!(info["cniResult"].to_string().contains(&addresses(&pod).await[0]), "{info}");
    });
}

#[test]
fn a_pod_with_users_of_its_own_is_in_the_network_like_any_other() {
    on_a_cni_node(&["bridge", "host-local", "tuning"], async |node, cni| {
        let sysctl = json!({"type": "tuning", "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}});
        let plugins = json!([bridge("br1", &["10.81.0.0/24"]), sysctl]);
        is_in_use(node, cni, FILE, &list("one", "1.0.0", &plugins)).await;
        let map = vec![IdMapping { host_id: 1_000_000, container_id: 0, length: 65_536 }];
        let users = UserNamespace { mode: NamespaceMode::Pod.into(), uids: map.clone(), gids: map };
        let pod = node.pod("a").with(|config| namespaces(config).userns_options = Some(users)).run().await;
        server(node, &pod, "page").await;
        let at = addresses(&pod).await;
        node_reaches(&at[0], "page").await;
        let shell = shell(&pod).await;
        assert_eq!(shell.sh("cat /proc/sys/net/ipv4/conf/eth0/arp_filter").await.stdout, "1\n");
        assert_eq!(shell.sh("cat /proc/self/uid_map").await.stdout.split_whitespace().nth(1), Some("1000000"));
        node.kill_and_restart().await;
        assert_eq!(addresses(&pod).await, at);
        pod.stop().await;
    });
}
