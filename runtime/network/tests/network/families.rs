// SPDX-License-Identifier: Apache-2.0
//! Pods with an IPv4 and an IPv6 address, in either order, or with one of them.

use super::stage::{as_node, call, live, open, pod, serve, sh, take_away, tcp};
use gorae_network::{CidrOutcome, Network, NetworkConfig, PodNetworkPlan};
use std::net::{IpAddr, SocketAddr};

#[test]
fn with_an_ipv6_subnet_pods_have_both_families_and_host_ports_in_both() {
    as_node("families::with_an_ipv6_subnet_pods_have_both_families_and_host_ports_in_both", async |root| {
        let config = NetworkConfig { subnet6: Some("fd00:64::/64".parse().expect("net")), ..Default::default() };
        let network = Network::open(config, root, &[]).await.expect("network");
        let a = pod(&network, "a", &[tcp("", 12010, 80)]).await;
        let b = pod(&network, "b", &[]).await;
        assert_eq!((a.ips.len(), b.ips[1].to_string().as_str()), (2, "fd00:64::3"));
        serve("a", "[::]:80");
        serve("outside", "[::]:7000");
        let node: IpAddr = "fd00:2::2".parse().expect("address");
        assert_eq!(call("b", "[fd00:2::1]:7000"), Some(node));
        assert_eq!(call("b", format!("[{}]:80", a.ips[1])), Some(b.ips[1]));
        assert!(call("outside", "[fd00:2::2]:12010").is_some());
        assert!(call("b", "[fd00:2::2]:12010").is_some());
        assert!(call("", "[fd00:2::2]:12010").is_some());
        assert!(call("", "127.0.0.1:12010").is_some());
    });
}

/// What a pod is called from and by, in each of its families, in order.
fn reaches_everything(id: &str, plan: &PodNetworkPlan, other: &str, host_port: u16) {
    serve(id, "[::]:7000");
    for (ip, seen) in plan.ips.iter().zip(plan.network.sources.iter()) {
        let (node, outside) = if ip.is_ipv4() { ("192.0.2.2", "192.0.2.1") } else { ("fd00:2::2", "fd00:2::1") };
        assert_eq!(call(id, SocketAddr::new(outside.parse().expect("address"), 7000)), node.parse().ok());
        assert_eq!(call("", SocketAddr::new(*ip, 7000)), seen.parse().ok(), "from the node");
        assert!(call(other, SocketAddr::new(*ip, 7000)).is_some(), "from {other}");
        assert!(call("outside", SocketAddr::new(node.parse().expect("address"), host_port)).is_some());
    }
}

#[test]
fn a_node_without_ipv4_has_pods_with_an_ipv6_address_alone() {
    as_node("families::a_node_without_ipv4_has_pods_with_an_ipv6_address_alone", async |root| {
        sh("ip route del default && ip addr del 192.0.2.2/24 dev eth7 && ip link set eth7 mtu 1400
            echo 0 > /proc/sys/net/ipv4/ip_forward");
        let config = NetworkConfig { subnet6: Some("fd00:64::/64".parse().expect("net")), ..Default::default() };
        let network = Network::open(config.clone(), root, &[]).await.expect("network");
        serve("outside", "[::]:7000");
        let a = pod(&network, "a", &[tcp("", 12040, 7000)]).await;
        pod(&network, "b", &[]).await;
        assert_eq!((a.network.addresses.as_slice(), a.network.mtu), (&["fd00:64::2/128".to_owned()][..], 1400));
        reaches_everything("a", &a, "b", 12040);
        assert_eq!(sh("cat /proc/sys/net/ipv4/ip_forward").trim(), "0", "nothing of IPv4 is touched");
        assert!(!sh("ip -4 -o address").contains("gorae"));
        // And so after a restart, also when the record is lost.
        let path = root.join("network");
        std::fs::write(&path, "damaged").expect("writable");
        let after = Network::open(config, root, &[live("a", &a, &[tcp("", 12040, 7000)])]).await.expect("network");
        let c = after.prepare("c", &[]).await.expect("prepared");
        let subnet: ipnet::Ipv6Net = "fd00:64::/64".parse().expect("net");
        assert!(matches!(c.ips[..], [IpAddr::V6(ip)] if subnet.contains(&ip) && c.ips != a.ips), "{:?}", c.ips);
        take_away(&after, "a").await;
    });
}

#[test]
fn kubelets_pod_cidr_says_which_family_is_first() {
    as_node("families::kubelets_pod_cidr_says_which_family_is_first", async |root| {
        let network = open(root, &[]).await;
        assert_eq!(network.set_pod_cidr("fd00:3::/64,10.244.3.0/24").await.expect("asked"), CidrOutcome::Adopted);
        serve("outside", "[::]:7000");
        let a = pod(&network, "a", &[tcp("", 12041, 7000)]).await;
        pod(&network, "b", &[]).await;
        assert_eq!(a.network.addresses, ["fd00:3::2/128", "10.244.3.2/32"]);
        reaches_everything("a", &a, "b", 12041);
        take_away(&network, "a").await;
        take_away(&network, "b").await;
        assert_eq!(network.set_pod_cidr("fd00:4::/64").await.expect("asked"), CidrOutcome::Adopted);
        let alone = pod(&network, "alone", &[]).await;
        assert_eq!(alone.network.addresses, ["fd00:4::2/128"]);
        assert_eq!(network.set_pod_cidr("fd00:4::/64").await.expect("asked"), CidrOutcome::Unchanged);
    });
}

#[test]
fn an_ipv6_prefix_that_the_world_routes_is_not_masqueraded() {
    as_node("families::an_ipv6_prefix_that_the_world_routes_is_not_masqueraded", async |root| {
        let config = NetworkConfig { subnet6: Some("2001:db8:64::/64".parse().expect("net")), ..Default::default() };
        let network = Network::open(config, root, &[]).await.expect("network");
        sh("ip -n outside -6 route add 2001:db8:64::/64 via fd00:2::2");
        serve("outside", "[::]:7000");
        let a = pod(&network, "a", &[]).await;
        assert_eq!(call("a", "[fd00:2::1]:7000"), Some(a.ips[1]));
        assert_eq!(call("a", "192.0.2.1:7000").map(|ip| ip.to_string()).as_deref(), Some("192.0.2.2"));
    });
}

#[test]
fn the_nodes_own_default_route_by_advertisements_outlives_the_first_pod() {
    as_node("families::the_nodes_own_default_route_by_advertisements_outlives_the_first_pod", async |root| {
        let accept_ra = "cat /proc/sys/net/ipv6/conf/eth7/accept_ra";
        assert_eq!(sh(accept_ra).trim(), "1");
        let config = NetworkConfig { subnet6: Some("fd00:64::/64".parse().expect("net")), ..Default::default() };
        let a = pod(&Network::open(config, root, &[]).await.expect("network"), "a", &[]).await;
        assert_eq!(sh("cat /proc/sys/net/ipv6/conf/all/forwarding").trim(), "1");
        assert_eq!(sh(accept_ra).trim(), "2", "also with forwarding");
        let of_pods = format!("cat /proc/sys/net/ipv6/conf/{}/accept_ra", a.network.host_interface);
        assert_eq!(sh(&of_pods).trim(), "0", "but never from a pod");
    });
}

#[test]
fn the_gateway_works_over_ipv6_though_every_interface_looks_for_duplicates() {
    as_node("families::the_gateway_works_over_ipv6_though_every_interface_looks_for_duplicates", async |root| {
        sh("echo 1 > /proc/sys/net/ipv6/conf/all/accept_dad; echo 1 > /proc/sys/net/ipv6/conf/default/accept_dad");
        let ra = "cat /proc/sys/net/ipv6/conf/all/accept_ra /proc/sys/net/ipv6/conf/default/accept_ra";
        let before = sh(ra);
        let config = NetworkConfig { subnet6: Some("fd00:64::/64".parse().expect("net")), ..Default::default() };
        let network = Network::open(config, root, &[]).await.expect("network");
        let a = pod(&network, "a", &[]).await;
        serve("a", "[::]:7000");
        assert!(!sh(&format!("ip -6 addr show dev {} scope global", a.network.bridge)).contains("tentative"));
        for ip in &a.ips {
            assert!(call("", SocketAddr::new(*ip, 7000)).is_some(), "{ip}");
        }
        assert_eq!((sh(ra), sh("cat /proc/sys/net/ipv6/conf/eth7/accept_ra").trim()), (before, "2"));
    });
}
