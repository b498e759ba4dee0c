// SPDX-License-Identifier: Apache-2.0
//! Who reaches whom.

use super::stage::{arrives, as_node, call, ips, named, network, open, ours, pod, serve, sh, wish};
use gorae_user_networks::{Definition, Membership, UserNetworks};
use std::collections::BTreeMap;
use std::path::Path;

/// Switches what a bridge shows the packet filter.
fn bridge_netfilter(on: bool) {
    let value = u8::from(on);
    sh(&format!(
        "for family in ip ip6; do echo {value} > /proc/sys/net/bridge/bridge-nf-call-${{family}}tables || true; done"
    ));
}

/// Pods a and b in one network, c in another.
async fn three(root: &Path) -> (UserNetworks, [Membership; 3]) {
    let networks = open(root, &[]).await;
    network(&networks, "front", 31).await;
    network(&networks, "back", 32).await;
    let mut places = Vec::new();
    for (name, net) in [("a", "front"), ("b", "front"), ("c", "back")] {
        places.extend(pod(&networks, name, &[wish(net)]).await);
        serve(name, 80);
    }
    (networks, places.try_into().expect("three"))
}

#[test]
fn pods_of_a_network_reach_each_other_and_no_others() {
    as_node("traffic::pods_of_a_network_reach_each_other_and_no_others", async |root| {
        let (_networks, [a, b, c]) = three(root).await;
        // A pod of the built-in network, as far as the rules know it.
        sh("ip netns add built && ip link add gp0 group 26479 type veth peer name eth0 netns built && ip link set gp0 up
            ip route add 10.64.0.9/32 dev gp0 && ip -n built link set eth0 up && ip -n built addr add 10.64.0.9/32 dev eth0
            ip -n built route add default dev eth0 && echo 1 > /proc/sys/net/ipv4/conf/gp0/proxy_arp");
        serve("built", 80);
        for on in [false, true] {
            bridge_netfilter(on);
            for family in 0..2 {
                let [a, b, c] = [&a, &b, &c].map(|place| ips(place)[family]);
                assert_eq!(call("a", b, 80), Some(a), "its own address, {on}");
                assert_eq!(call("b", a, 80), Some(b), "{on}");
                assert!(call("a", a, 80).is_some());
                for (from, to) in [("a", c), ("c", a), ("c", b), ("outside", a), ("outside", c), ("built", a)] {
                    assert_eq!(call(from, to, 80), None, "{from} to {to}, {on}");
                }
                for (to, from) in [(a, "a"), (c, "c")] {
                    assert!(call("", to, 80).is_some(), "the node to {from}");
                }
            }
            assert_eq!(call("a", "10.64.0.9".parse().expect("address"), 80), None, "a pod of the built-in network");
            assert!(call("", "10.64.0.9".parse().expect("address"), 80).is_some(), "the node to it");
            assert!(arrives("a", "255.255.255.255", "b", 9), "broadcast, {on}");
            assert!(arrives("a", "10.31.0.255", "b", 9), "broadcast of the subnet, {on}");
            assert!(!arrives("c", "255.255.255.255", "b", 9), "broadcast of another network, {on}");
            let join = inside_multicast("a", "b");
            assert!(join, "multicast, {on}");
        }
    });
}

/// Whether a multicast datagram from one pod arrives at another that has joined.
fn inside_multicast(from: &str, to: &str) -> bool {
    use std::net::{Ipv4Addr, UdpSocket};
    let group = Ipv4Addr::new(224, 0, 0, 251);
    let receiver = super::stage::inside(to, move || {
        let socket = UdpSocket::bind(("0.0.0.0", 5353)).expect("free port");
        socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED).expect("joined");
        socket
    });
    receiver.set_read_timeout(Some(std::time::Duration::from_secs(1))).expect("set");
    super::stage::inside(from, move || {
        UdpSocket::bind("0.0.0.0:0").expect("free port").send_to(b"?", (group, 5353)).expect("sent");
    });
    receiver.recv_from(&mut [0; 4]).is_ok()
}

#[test]
fn what_leaves_has_the_nodes_address_and_what_is_published_gets_in() {
    as_node("traffic::what_leaves_has_the_nodes_address_and_what_is_published_gets_in", async |root| {
        let (networks, [a, _, c]) = three(root).await;
        serve("outside", 80);
        let masked = Definition {
            options: BTreeMap::from([("com.docker.network.bridge.enable_ip_masquerade".into(), "false".into())]),
            ..named("routed", &["10.33.0.0/24"])
        };
        networks.create(masked).await.expect("made");
        let d = pod(&networks, "d", &[wish("routed")]).await.remove(0);
        for (outside, node, family) in [("192.0.2.1", "192.0.2.2", 0), ("fd00:2::1", "fd00:2::2", 1)] {
            let (outside, node) = (outside.parse().expect("address"), node.parse().expect("address"));
            assert_eq!(call("a", outside, 80), Some(node), "masqueraded");
            let to = ips(&a)[family];
            let (ip, bracketed) = if family == 0 { ("ip", to.to_string()) } else { ("ip6", format!("[{to}]")) };
            sh(&format!(
                "nft 'add table inet host; add chain inet host pre {{ type nat hook prerouting priority -99; }}
                 add rule inet host pre {ip} daddr {node} tcp dport 8080 dnat {ip} to {bracketed}:80'"
            ));
            assert!(call("outside", node, 8080).is_some(), "published for the LAN");
            assert!(call("c", node, 8080).is_some(), "and for other networks");
            assert_eq!(call("outside", ips(&c)[family], 80), None);
        }
        assert_eq!(call("d", "192.0.2.1".parse().expect("address"), 80), Some(ips(&d)[0]), "its own address");
    });
}

#[test]
fn an_internal_network_has_no_way_out_and_none_in_but_the_node_reaches_it() {
    as_node("traffic::an_internal_network_has_no_way_out_and_none_in_but_the_node_reaches_it", async |root| {
        let networks = open(root, &[]).await;
        let internal = Definition { internal: true, ..named("quiet", &["10.34.0.0/24", "fd00:34::/64"]) };
        networks.create(internal).await.expect("made");
        network(&networks, "front", 31).await;
        let a = pod(&networks, "a", &[wish("quiet")]).await.remove(0);
        let b = pod(&networks, "b", &[wish("quiet")]).await.remove(0);
        pod(&networks, "c", &[wish("front")]).await;
        ["a", "b", "outside"].iter().for_each(|name| serve(name, 80));
        assert_eq!(super::stage::default_routes("a"), "");
        // Whoever may change routes in a pod gets no further.
        sh("ip -n a route add default via 10.34.0.1 && ip -n a -6 route add default via fd00:34::1
            echo 1 > /proc/sys/net/ipv4/ip_forward && echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
            nft 'add table inet host; add chain inet host pre { type nat hook prerouting priority -99; }
                 add rule inet host pre ip daddr 192.0.2.2 tcp dport 8080 dnat ip to 10.34.0.2:80'");
        for family in 0..2 {
            let outside = ["192.0.2.1", "fd00:2::1"][family].parse().expect("address");
            assert_eq!(call("a", outside, 80), None);
            assert_eq!(call("a", ips(&b)[family], 80), Some(ips(&a)[family]));
            assert!(call("", ips(&a)[family], 80).is_some());
            assert_eq!(call("outside", ips(&a)[family], 80), None);
            assert_eq!(call("c", ips(&a)[family], 80), None);
        }
        assert_eq!(call("outside", "192.0.2.2".parse().expect("address"), 8080), None, "not even published");
    });
}

#[test]
fn pods_of_a_network_without_icc_reach_the_world_but_not_each_other() {
    as_node("traffic::pods_of_a_network_without_icc_reach_the_world_but_not_each_other", async |root| {
        let networks = open(root, &[]).await;
        let apart = Definition {
            options: BTreeMap::from([("com.docker.network.bridge.enable_icc".into(), "false".into())]),
            ..named("apart", &["10.35.0.0/24", "fd00:35::/64"])
        };
        networks.create(apart).await.expect("made");
        pod(&networks, "a", &[wish("apart")]).await;
        let b = pod(&networks, "b", &[wish("apart")]).await.remove(0);
        ["b", "outside", ""].iter().for_each(|name| serve(name, 80));
        for on in [false, true] {
            bridge_netfilter(on);
            for family in 0..2 {
                let outside = ["192.0.2.1", "fd00:2::1"][family].parse().expect("address");
                assert!(call("a", outside, 80).is_some());
                assert!(call("a", b.gateways[family], 80).is_some(), "the node");
                assert_eq!(call("a", ips(&b)[family], 80), None, "{on}");
            }
            assert!(!arrives("a", "255.255.255.255", "b", 9), "{on}");
        }
        // Nor over the node.
        sh("ip -n a route replace 10.35.0.3/32 via 10.35.0.1 dev eth0");
        assert_eq!(call("a", ips(&b)[0], 80), None);
    });
}

#[test]
fn a_pod_cannot_send_from_an_address_outside_its_network() {
    as_node("traffic::a_pod_cannot_send_from_an_address_outside_its_network", async |root| {
        let (_networks, [a, ..]) = three(root).await;
        let spoof = |source: &str, port: u16| {
            sh(&format!(
                "ip -n a addr add {source}/32 dev eth0 && ip -n a route replace 192.0.2.1 via 10.31.0.1 src {source}"
            ));
            let arrived = arrives("a", "192.0.2.1", "outside", port);
            sh(&format!("ip -n a route del 192.0.2.1 && ip -n a addr del {source}/32 dev eth0"));
            arrived
        };
        assert!(arrives("a", "192.0.2.1", "outside", 9), "{a:?}");
        for (source, port) in [("203.0.113.7", 10), ("10.32.0.2", 11), ("192.0.2.2", 12)] {
            assert!(!spoof(source, port), "{source}");
        }
        assert!(arrives("a", "192.0.2.1", "outside", 13));
        // It is the rules that drop it.
        sh("nft flush chain inet $(nft list tables | grep -o 'gorae.*') guard");
        assert!(spoof("203.0.113.7", 14));
        assert!(ours().contains("-user"));
    });
}

#[test]
fn a_firewall_that_drops_everything_is_reported_or_opened() {
    as_node("traffic::a_firewall_that_drops_everything_is_reported_or_opened", async |root| {
        sh("iptables -P FORWARD DROP");
        bridge_netfilter(true);
        let (networks, [a, b, _]) = three(root).await;
        serve("outside", 80);
        let outside = "192.0.2.1".parse().expect("address");
        assert_eq!((call("a", outside, 80), call("a", ips(&b)[0], 80)), (None, None));
        let said = networks.degraded().expect("reported");
        assert!(said.contains("-I FORWARD -s 10.31.0.0/24 -j ACCEPT"), "{said}");
        drop(networks);
        let config = gorae_user_networks::Config { open_forward: true, ..Default::default() };
        let live = ["a", "b", "c"].map(str::to_owned).into();
        let networks = UserNetworks::open(root.join("networks"), super::stage::spawner(), config, &live);
        let networks = networks.await.expect("opened");
        assert_eq!(networks.degraded(), None);
        assert!(call("a", outside, 80).is_some() && call("a", ips(&b)[0], 80).is_some());
        assert_eq!(call("c", ips(&a)[0], 80), None, "networks stay apart");
        assert_eq!(call("outside", ips(&a)[0], 80), None);
        for name in ["a", "b", "c"] {
            super::stage::end(&networks, name).await;
        }
        assert!(!sh("iptables -S FORWARD").contains("-A"), "nothing of ours is left");
    });
}
