// SPDX-License-Identifier: Apache-2.0
//! Pods that the node routes to: beside those of an earlier daemon, which are ports of the bridge, and behind services.

use super::stage::{as_node, bridged_pod, call, inside, live, open, pod, serve, sh, take_away, tcp};
use gorae_network::{Network, NetworkConfig};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6, UdpSocket};
use std::time::Duration;

fn dual_stack() -> NetworkConfig {
    NetworkConfig { subnet6: Some("fd00:64::/64".parse().expect("net")), ..Default::default() }
}

#[test]
fn pods_of_an_earlier_daemon_and_new_ones_reach_each_other_until_the_old_ones_end() {
    as_node("routed::pods_of_an_earlier_daemon_and_new_ones_reach_each_other_until_the_old_ones_end", async |root| {
        let before = Network::open(dual_stack(), root, &[]).await.expect("network");
        let (old, older) = (bridged_pod(&before, "old").await, bridged_pod(&before, "older").await);
        drop(before);
        let found = [live("old", &old, &[]), live("older", &older, &[])];
        let network = Network::open(dual_stack(), root, &found).await.expect("network");
        let new = pod(&network, "new", &[]).await;
        for id in ["old", "older", "new"] {
            serve(id, "[::]:7000");
        }
        let pods = [("old", &old), ("older", &older), ("new", &new)];
        for (from, caller) in pods {
            for (to, called) in pods.into_iter().filter(|(to, _)| *to != from) {
                for family in [0, 1] {
                    let address = std::net::SocketAddr::new(called.ips[family], 7000);
                    assert_eq!(call(from, address), Some(caller.ips[family]), "{from} to {to}");
                }
            }
        }
        assert!(network.reconcile(&HashSet::new()).await.expect("checked").is_empty(), "all belong to pods");
        // A bridge that is removed under both kinds comes back with both.
        sh(&format!("ip link del {}", new.network.bridge));
        network.reconcile(&HashSet::new()).await.expect("repaired");
        for (from, to) in [("old", &new), ("new", &old), ("", &new), ("", &old), ("old", &older)] {
            assert!(call(from, format!("{}:7000", to.ips[0])).is_some(), "{from} to {}", to.ips[0]);
        }
        let newer = pod(&network, "newer", &[]).await;
        serve("newer", "[::]:7000");
        for (from, to) in [("", &new), ("old", &new), ("old", &newer), ("newer", &old)] {
            assert!(call(from, format!("[{}]:7000", to.ips[1])).is_some(), "{from} to {}", to.ips[1]);
        }
        for id in ["old", "older", "new", "newer"] {
            take_away(&network, id).await;
        }
        assert!(network.remove_if_unused().await.expect("removed"));
    });
}

#[test]
fn a_service_leads_to_a_pod_of_the_same_node_also_where_bridges_do_not_call_the_packet_filter() {
    let name = "routed::a_service_leads_to_a_pod_of_the_same_node_also_where_bridges_do_not_call_the_packet_filter";
    as_node(name, async |root| {
        sh("for file in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $file ] || echo 0 > $file; done");
        let network = Network::open(dual_stack(), root, &[]).await.expect("network");
        let (server, client) = (pod(&network, "server", &[]).await, pod(&network, "client", &[]).await);
        serve("server", "[::]:7000");
        // What kube-proxy has for a service with one pod; a pod that calls itself is masqueraded.
        sh(&format!(
            "nft -f - <<'END'
table inet services {{
 chain pre {{ type nat hook prerouting priority -100;
  ip daddr 10.96.0.1 tcp dport 80 dnat ip to {0}:7000
  ip6 daddr fd00:96::1 tcp dport 80 dnat ip6 to [{1}]:7000
 }}
 chain post {{ type nat hook postrouting priority 100;
  ip saddr {0} ip daddr {0} masquerade
  ip6 saddr {1} ip6 daddr {1} masquerade
 }}
}}
END",
            server.ips[0], server.ips[1]
        ));
        for (family, service) in ["10.96.0.1:80", "[fd00:96::1]:80"].into_iter().enumerate() {
            assert_eq!(call("client", service), Some(client.ips[family]), "{service}");
            let itself = call("server", service);
            assert!(itself.is_some_and(|seen| seen != server.ips[family]), "{service} {itself:?}");
        }
    });
}

/// Whether a packet from `source`, an address that the pod gives itself, arrives at another pod.
fn arrives(from: &str, source: IpAddr, to: &str, target: IpAddr) -> bool {
    let receiver = inside(to, move || UdpSocket::bind((target, 7000)).expect("free port"));
    receiver.set_read_timeout(Some(Duration::from_millis(300))).expect("a time limit");
    let length = if source.is_ipv4() { 32 } else { 128 };
    sh(&format!("ip -n {from} addr replace {source}/{length} dev eth0 nodad"));
    inside(from, move || {
        let sender = UdpSocket::bind((source, 0)).expect("an address of the pod");
        sender.send_to(b"hello", (target, 7000)).expect("sent");
    });
    receiver.recv_from(&mut [0; 8]).is_ok_and(|(_, peer)| peer.ip() == source)
}

#[test]
fn a_pod_cannot_send_from_the_address_of_another_nor_of_the_node() {
    as_node("routed::a_pod_cannot_send_from_the_address_of_another_nor_of_the_node", async |root| {
        let network = Network::open(dual_stack(), root, &[]).await.expect("network");
        let (a, b) = (pod(&network, "a", &[]).await, pod(&network, "b", &[]).await);
        let c = pod(&network, "c", &[]).await;
        // Loose: what systemd sets. The kernel takes the larger of this value and the interface's.
        sh("echo 2 > /proc/sys/net/ipv4/conf/all/rp_filter");
        for family in [0, 1] {
            let gateway = a.network.sources[family].parse().expect("address");
            assert!(arrives("a", a.ips[family], "b", b.ips[family]));
            // What the guard remembers of a pod is no way in for another one.
            assert!(arrives("c", c.ips[family], "b", b.ips[family]));
            for source in [c.ips[family], gateway, ["192.0.2.1", "fd00:2::1"][family].parse().expect("address")] {
                assert!(!arrives("a", source, "b", b.ips[family]), "{source}");
            }
        }
    });
}

/// Has a pod send from a link-local address of its own choice to the host end of its interface.
fn send_from_link(from: &str, source: Ipv6Addr) {
    sh(&format!("ip -n {from} addr add {source}/64 dev eth0 nodad"));
    let link = sh(&format!("ip -n {from} -o link show eth0"));
    let index = link.split_once(':').and_then(|(index, _)| index.parse().ok()).expect("a number");
    inside(from, move || {
        let sender = UdpSocket::bind(SocketAddrV6::new(source, 0, 0, index)).expect("an address of the pod");
        let all_nodes = SocketAddrV6::new("ff02::1".parse().expect("address"), 7000, 0, index);
        sender.send_to(b"hello", all_nodes).expect("sent");
    });
}

#[test]
fn the_guard_remembers_only_sources_that_lead_back_to_their_pod() {
    as_node("routed::the_guard_remembers_only_sources_that_lead_back_to_their_pod", async |root| {
        let network = Network::open(dual_stack(), root, &[]).await.expect("network");
        let (a, b) = (pod(&network, "a", &[]).await, pod(&network, "b", &[]).await);
        assert!(arrives("a", a.ips[1], "b", b.ips[1]));
        assert!(!arrives("a", "fd00:2::1".parse().expect("address"), "b", b.ips[1]));
        send_from_link("a", "fe80::2".parse().expect("address"));
        let remembered = sh(&format!("nft list set inet {} sources6", a.network.bridge));
        let sources: Vec<_> = remembered.split_whitespace().filter(|word| word.contains("::")).collect();
        assert_eq!(sources, [a.ips[1].to_string()], "{remembered}");
        assert!(remembered.contains(&format!("\"{}\" . {}", a.network.host_interface, a.ips[1])), "{remembered}");
    });
}

#[test]
fn a_host_end_without_a_pod_is_removed_and_new_pods_follow_the_mtu_of_the_way_out() {
    as_node("routed::a_host_end_without_a_pod_is_removed_and_new_pods_follow_the_mtu_of_the_way_out", async |root| {
        let network = open(root, &[]).await;
        let a = pod(&network, "a", &[tcp("", 12030, 80)]).await;
        pod(&network, "b", &[]).await;
        assert_eq!(a.network.mtu, 1500);
        network.release("b");
        sh("ip link set eth7 mtu 1400");
        let stale = network.reconcile(&HashSet::new()).await.expect("checked");
        assert_eq!(stale.len(), 1);
        network.reconcile(&stale).await.expect("removed");
        let left = sh("ip -br link");
        assert!(
            left.contains(&a.network.host_interface) && !left.contains(stale.iter().next().expect("one")),
            "{left}"
        );
        let next = pod(&network, "next", &[]).await;
        assert_eq!(next.network.mtu, 1400);
    });
}

#[test]
fn of_two_default_routes_the_one_that_counts_gives_the_mtu() {
    as_node("routed::of_two_default_routes_the_one_that_counts_gives_the_mtu", async |root| {
        sh("ip link add eth8 mtu 1300 type veth peer name eth9 && ip link set eth8 up && ip link set eth9 up
            ip addr add 198.51.100.2/24 dev eth8 && ip route del default && ip -6 route del default
            ip route add default via 198.51.100.1 metric 500 && ip route add default via 192.0.2.1 metric 600
            ip route add default dev eth8 table 99");
        assert_eq!(open(root, &[]).await.prepare("a", &[]).await.expect("prepared").network.mtu, 1300);
        sh("ip route add default via 192.0.2.1 metric 100");
        let network = open(root, &[]).await;
        assert_eq!(network.prepare("b", &[]).await.expect("prepared").network.mtu, 1500);
    });
}

#[test]
fn a_subnet_is_kept_although_the_host_end_of_the_last_pod_is_still_going() {
    as_node("routed::a_subnet_is_kept_although_the_host_end_of_the_last_pod_is_still_going", async |root| {
        let network = open(root, &[]).await;
        let a = pod(&network, "a", &[]).await;
        network.release("a");
        assert!(network.remove_if_unused().await.expect("removed"));
        assert!(sh("ip route").contains(&a.network.host_interface) || sh("ip -br link").contains("gp"));
        sh(&format!("ip route replace {} dev {}", a.ips[0], a.network.host_interface));
        let next = open(root, &[]).await.prepare("next", &[]).await.expect("prepared");
        assert_eq!(next.network.sources, a.network.sources);
    });
}
