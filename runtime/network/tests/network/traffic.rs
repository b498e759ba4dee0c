// SPDX-License-Identifier: Apache-2.0
//! Which ends can reach each other, and from which address.

use super::stage::{
    NODE, NODE6, OUTSIDE, as_node, bridged, call, inside, mapping, open, pod, serve, serve_on, sh, take_away, tcp,
};
use gorae_network::Mapper;
use gorae_proto::cri::{PortMapping, Protocol};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

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
fn a_host_port_at_one_address_leaves_the_flows_to_that_port_of_others() {
    as_node("traffic::a_host_port_at_one_address_leaves_the_flows_to_that_port_of_others", async |root| {
        let network = open(root, &[]).await;
        network.prepare("warm", &[]).await.expect("flows are tracked");
        sh("ip addr add 192.0.2.3/24 dev eth7; nft add table inet seen
            nft 'add chain inet seen new { type filter hook prerouting priority -150; }'");
        for (family, at, beside) in [("ip", NODE, Some("192.0.2.3")), ("ip6", NODE6, None)] {
            let flows: Vec<(UdpSocket, &str)> =
                [at].into_iter().chain(beside).map(|ip| (flow(family, ip), ip)).collect();
            let id = format!("pod-{family}");
            network.reserve_ports(&id, &[udp(at)], Mapper::Gorae).await.expect("reserved");
            network.publish_at(&id, &bridged(&id, 2)).await.expect("published");
            for (client, ip) in flows {
                client.send(b"again").expect("sent");
                std::thread::sleep(Duration::from_millis(50));
                let seen = sh(&format!("nft list chain inet seen new | grep '{ip} '"));
                let times = if ip == at { "packets 2 " } else { "packets 1 " };
                assert!(seen.contains(times), "{seen}");
            }
            take_away(&network, &id).await;
        }
    });
}

fn udp(at: &str) -> PortMapping {
    mapping(Protocol::Udp, at, 12060, 53)
}

/// Starts a flow from outside to a server of the node, and counts how often it is new.
fn flow(family: &str, ip: &str) -> UdpSocket {
    sh(&format!("nft add rule inet seen new {family} daddr {ip} udp dport 12060 ct state new counter"));
    let to = SocketAddr::new(ip.parse().expect("address"), 12060);
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let (server, client) = (UdpSocket::bind(to).expect("free port"), inside("outside", move || UdpSocket::bind(any)));
    let client = client.expect("free port");
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(Duration::from_secs(1))).expect("set");
    }
    let mut buffer = [0; 8];
    client.connect(to).and_then(|()| client.send(b"?")).expect("sent");
    let (_, peer) = server.recv_from(&mut buffer).expect("it arrives");
    server.send_to(b"!", peer).expect("sent");
    client.recv(&mut buffer).expect("the answer");
    client
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
