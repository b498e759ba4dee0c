// SPDX-License-Identifier: Apache-2.0
//! Which ends can reach each other, and from which address.

use super::stage::{NODE, OUTSIDE, as_node, call, open, pod, serve, serve_on, sh, tcp};
use std::net::{IpAddr, TcpListener};

#[test]
fn a_pod_reaches_the_outside_with_the_nodes_address_and_pods_with_its_own() {
    as_node("traffic::a_pod_reaches_the_outside_with_the_nodes_address_and_pods_with_its_own", async |root| {
        let network = open(root, &[]).await;
        let a = pod(&network, "a", &[]).await;
        let b = pod(&network, "b", &[]).await;
        serve("outside", "0.0.0.0:7000");
        serve("b", "0.0.0.0:7000");
        let node: IpAddr = NODE.parse().expect("address");
        assert_eq!(call("a", format!("{OUTSIDE}:7000")), Some(node));
        assert_eq!(call("a", format!("{}:7000", b.ips[0])), Some(a.ips[0]));
        // The node reaches pods as their gateway, and pods reach the node.
        let gateway: IpAddr = a.network.gateways[0].parse().expect("address");
        assert_eq!(call("", format!("{}:7000", b.ips[0])), Some(gateway));
        serve_on(TcpListener::bind("0.0.0.0:7001").expect("free port"));
        assert_eq!(call("a", format!("{NODE}:7001")), Some(a.ips[0]));
    });
}

#[test]
fn a_pod_cannot_use_its_gateway_to_reach_the_nodes_loopback() {
    as_node("traffic::a_pod_cannot_use_its_gateway_to_reach_the_nodes_loopback", async |root| {
        let network = open(root, &[]).await;
        let plan = pod(&network, "a", &[tcp("", 12050, 80)]).await;
        serve_on(TcpListener::bind("127.0.0.1:7002").expect("free port"));
        assert!(call("", "127.0.0.1:7002").is_some());
        // A privileged pod may send packets for 127.0.0.1 to its gateway, and route_localnet is on for a host port.
        let (host_end, gateway) = (&plan.network.host_interface, &plan.network.gateways[0]);
        assert_eq!(sh(&format!("cat /proc/sys/net/ipv4/conf/{host_end}/route_localnet")).trim(), "1");
        sh(&format!(
            "ip netns exec a sh -ec 'echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
             ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 via {gateway} dev eth0 onlink'"
        ));
        assert_eq!(call("a", "127.0.0.1:7002"), None);
    });
}

#[test]
fn the_mtu_of_the_way_out_is_the_pods_mtu() {
    as_node("traffic::the_mtu_of_the_way_out_is_the_pods_mtu", async |root| {
        sh("ip link set eth7 mtu 1400");
        let network = open(root, &[]).await;
        let plan = network.prepare("a", &[]).await.expect("prepared");
        assert_eq!(plan.network.mtu, 1400);
        let link = sh(&format!("ip link show {}", plan.network.bridge));
        assert!(link.contains("mtu 1400") && link.contains("UP"), "{link}");
    });
}
