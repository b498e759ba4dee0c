// SPDX-License-Identifier: Apache-2.0
//! Tests a pod's built-in network: whom it reaches, and what it cannot do to others.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;
mod pods;

use gorae_shim::network::{Network, Route, configure};
use gorae_shim::proc_sys::ProcSys;
use pods::{BRIDGE, Node, Pod, SOON, ip, talk, within};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

#[test]
fn the_node_and_the_pod_reach_each_other_over_both_families() {
    let node = Node::new();
    let pod = node.pod();
    pod.setup();
    talk(&pod, "10.77.3.4:7001");
    talk(&pod, "[fd77::304]:7001");
    for gateway in ["10.77.0.1:7002", "[fd77::1]:7002"] {
        let gateway: SocketAddr = gateway.parse().unwrap();
        let _listener = TcpListener::bind(gateway).unwrap();
        pod.inside(&["net"], || TcpStream::connect_timeout(&gateway, Duration::from_secs(5)).expect("pod to node"));
    }
    pod.clean();
    pod.assert_clean();
}

#[test]
fn an_address_works_for_the_next_pod_at_once() {
    let node = Node::new();
    for round in 0..10 {
        let pod = node.pod();
        pod.setup();
        talk(&pod, &format!("10.77.3.4:{}", 7100 + round));
        talk(&pod, &format!("[fd77::304]:{}", 7100 + round));
        pod.clean();
    }
}

#[test]
fn a_pod_needs_no_ipv4_address() {
    let node = Node::new();
    ip(&format!("addr del 10.77.0.1/16 dev {BRIDGE}"));
    let mut pod = node.pod();
    pod.only_ipv6();
    pod.setup();
    talk(&pod, "[fd77::304]:7010");
    pod.clean();
    pod.assert_clean();
}

/// Which address a pod's server sees when another pod calls it.
fn seen(from: &Pod, to: &Pod, address: &str) -> IpAddr {
    let address: SocketAddr = address.parse().unwrap();
    let listener = to.inside(&["net"], || TcpListener::bind(address).unwrap());
    let _client = from.inside(&["net"], || TcpStream::connect_timeout(&address, SOON).expect("pod to pod"));
    within(&listener).expect("a connection reaches the pod").1.ip()
}

#[test]
fn pods_reach_each_other_with_their_own_addresses() {
    let node = Node::new();
    let (one, two) = (node.pod_at(1), node.pod_at(2));
    one.setup();
    two.setup();
    assert_eq!(seen(&one, &two, "10.77.3.2:7020").to_string(), "10.77.3.1");
    assert_eq!(seen(&one, &two, "[fd77::302]:7020").to_string(), "fd77::301");
    // Whatever the node answers to ARP requests (`kube-proxy --ipvs-strict-arp` sets this), nobody has to ask.
    fs::write("/proc/sys/net/ipv4/conf/all/arp_ignore", "1").unwrap();
    let three = node.pod_at(3);
    three.setup();
    assert_eq!(seen(&three, &two, "10.77.3.2:7021").to_string(), "10.77.3.3");
    let asked = three.inside(&["net"], || fs::read_to_string("/proc/thread-self/net/arp").unwrap());
    assert!(asked.contains("10.77.0.1") && asked.contains("0x6 "), "known for good: {asked}");
    [one, two, three].iter().for_each(|pod| pod.clean());
}

/// Whether a packet from `source`, an address that the pod gives itself, arrives at another pod.
fn arrives(from: &Pod, source: Ipv4Addr, to: &Pod, target: &str) -> bool {
    let target: SocketAddr = target.parse().unwrap();
    let receiver = to.inside(&["net"], || UdpSocket::bind(target).unwrap());
    receiver.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    from.inside(&["net"], || {
        if UdpSocket::bind((source, 0)).is_err() {
            ip(&format!("addr add {source}/32 dev eth0"));
        }
        UdpSocket::bind((source, 0)).unwrap().send_to(b"hello", target).unwrap();
    });
    receiver.recv_from(&mut [0; 8]).is_ok_and(|(_, peer)| peer.ip() == source)
}

#[test]
fn a_pod_cannot_send_from_the_address_of_another_nor_of_the_node() {
    let node = Node::new();
    let (one, two) = (node.pod_at(1), node.pod_at(2));
    one.setup();
    two.setup();
    assert!(arrives(&one, Ipv4Addr::new(10, 77, 3, 1), &two, "10.77.3.2:7030"));
    for (port, source) in [(7031, "10.77.3.9"), (7032, "10.77.0.1"), (7033, "192.0.2.1")] {
        assert!(!arrives(&one, source.parse().unwrap(), &two, &format!("10.77.3.2:{port}")), "{source}");
    }
    one.clean();
    two.clean();
}

#[test]
fn a_pod_that_takes_the_address_of_another_does_not_get_its_packets() {
    let node = Node::new();
    let (one, two) = (node.pod_at(1), node.pod_at(2));
    one.setup();
    two.setup();
    one.inside(&["net"], || {
        ip("addr add 10.77.3.2/32 dev eth0");
        ip("addr add fd77::302/128 dev eth0 nodad");
        fs::write("/proc/sys/net/ipv4/conf/eth0/arp_notify", "1").unwrap();
        ip("link set eth0 down");
        ip("link set eth0 up");
    });
    for round in 0..3 {
        talk(&two, &format!("10.77.3.2:{}", 7040 + round));
        talk(&two, &format!("[fd77::302]:{}", 7040 + round));
    }
    one.clean();
    two.clean();
}

#[test]
fn the_last_pod_with_an_address_gets_its_packets_whatever_the_one_before_sends() {
    let node = Node::new();
    let (one, two) = (node.pod(), node.pod());
    one.setup();
    talk(&one, "10.77.3.4:7200");
    two.setup();
    for round in 0..5 {
        one.inside(&["net"], || UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"still here", "10.77.0.1:9").unwrap());
        talk(&two, &format!("10.77.3.4:{}", 7201 + round));
        talk(&two, &format!("[fd77::304]:{}", 7201 + round));
    }
    one.clean();
    talk(&two, "10.77.3.4:7210");
    talk(&two, "[fd77::304]:7210");
    two.clean();
    two.assert_clean();
}

#[test]
fn nobody_takes_routes_from_router_advertisements_whatever_the_node_does_by_default() {
    let node = Node::new();
    for setting in ["accept_ra", "disable_ipv6"] {
        fs::write(format!("/proc/sys/net/ipv6/conf/default/{setting}"), "1").unwrap();
    }
    fs::write("/proc/sys/net/ipv6/conf/default/accept_ra", "2").unwrap();
    let (both, mut ipv4) = (node.pod_at(1), node.pod_at(2));
    ipv4.only_ipv4("10.77.3.2");
    for (pod, disabled) in [(&both, "0"), (&ipv4, "1")] {
        pod.setup();
        let host_end = &pod.request.network.as_ref().unwrap().host_interface;
        let read = |interface: &str, setting: &str| {
            fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{interface}/{setting}")).unwrap().trim().to_owned()
        };
        let inside = pod.inside(&["net"], || ["accept_ra", "accept_dad", "disable_ipv6"].map(|s| read("eth0", s)));
        assert_eq!(inside, ["0", "0", disabled]);
        assert_eq!(read(host_end, "disable_ipv6"), disabled);
        assert_eq!(read(host_end, "accept_ra"), "0");
    }
    talk(&both, "[fd77::301]:7050");
    both.clean();
    ipv4.clean();
}

#[test]
fn a_pod_with_ipv6_has_it_on_loopback_whatever_its_namespace_begins_with() {
    let node = Node::new();
    let pod = node.pod();
    // In place of a pod's namespace that inherited this from the node.
    fs::write("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "1").unwrap();
    assert!(TcpListener::bind("[::1]:7060").is_err());
    ip(&format!("link del {BRIDGE}"));
    ip("link add eth0 type veth peer name other");
    let network = Network::checked(pod.request.network.as_ref().unwrap()).unwrap();
    configure(&mut Route::open().unwrap(), &ProcSys::own().unwrap(), &network).unwrap();
    let _listener = TcpListener::bind("[::1]:7060").expect("loopback has its IPv6 address");
    TcpStream::connect_timeout(&"[::1]:7060".parse().unwrap(), SOON).expect("and it works");
}
