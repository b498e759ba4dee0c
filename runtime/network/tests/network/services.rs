// SPDX-License-Identifier: Apache-2.0
//! Services and host ports on one node: the Service wins, whoever wrote his rules last, and a Service's address in IPVS mode
//! is none of the node's.

use super::stage::{NODE, NODE6, as_node, bridged, call, open, pod, serve_as, sh, take_away, tcp};
use gorae_network::{Mapper, Network, NetworkConfig};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// What a Service's endpoint answers, and what the pod with the host port does.
const SERVICE: &str = "203.0.113.1";
const POD: &str = "203.0.113.2";

/// Rules as kube-proxy has them for a NodePort 12300, at its priorities, to an endpoint on the node's LAN.
const KUBE_PROXIES: [(&str, &str); 3] = [
    (
        "nft 'table ip kube-proxy {
           chain services { fib daddr type local tcp dport 12300 dnat to 192.0.2.1:7000; }
           chain nat-prerouting { type nat hook prerouting priority -100; policy accept; jump services; }
           chain nat-output { type nat hook output priority -100; policy accept; jump services; }
           chain nat-postrouting { type nat hook postrouting priority 100; policy accept;
             ct status dnat ip daddr 192.0.2.1 masquerade; }
         }'",
        "nft delete table ip kube-proxy",
    ),
    (
        "for hook in PREROUTING OUTPUT; do
           iptables-nft -t nat -A $hook -m addrtype --dst-type LOCAL -p tcp --dport 12300 -j DNAT --to 192.0.2.1:7000; done
         iptables-nft -t nat -A POSTROUTING -d 192.0.2.1 -m conntrack --ctstate DNAT -j MASQUERADE",
        "iptables-nft -t nat -F",
    ),
    (
        "for hook in PREROUTING OUTPUT; do
           iptables-legacy -t nat -A $hook -m addrtype --dst-type LOCAL -p tcp --dport 12300 -j DNAT --to 192.0.2.1:7000; done
         iptables-legacy -t nat -A POSTROUTING -d 192.0.2.1 -m conntrack --ctstate DNAT -j MASQUERADE",
        "iptables-legacy -t nat -F",
    ),
];

fn answers(from: &str, to: &str) -> Option<String> {
    call(from, to).map(|answer| answer.to_string())
}

#[test]
fn a_service_wins_over_a_host_port_whoever_came_last() {
    as_node("services::a_service_wins_over_a_host_port_whoever_came_last", async |root| {
        sh("ip netns add other && ip link add eth8 type veth peer name eth0 netns other
            ip addr add 198.51.100.2/24 dev eth8 && ip link set eth8 up && ip -n other link set eth0 up
            ip -n other addr add 198.51.100.1/24 dev eth0 && ip -n other route add default via 198.51.100.2");
        serve_as("outside", "0.0.0.0:7000", SERVICE);
        let network = open(root, &[]).await;
        let node = format!("{NODE}:12300");
        let all = |answer: &str, when: &str| {
            for from in ["other", "", "b"] {
                assert_eq!(answers(from, &node).as_deref(), Some(answer), "from {from:?}, {when}");
            }
        };
        pod(&network, "b", &[]).await;
        for (id, (make, remove)) in ["a1", "a2", "a3"].into_iter().zip(KUBE_PROXIES) {
            sh(make);
            pod(&network, id, &[tcp("", 12300, 80)]).await;
            serve_as(id, "0.0.0.0:80", POD);
            all(SERVICE, "it was there first");
            sh(remove);
            all(POD, "it is gone");
            sh(make);
            all(SERVICE, "it came later");
            // We start again, and write everything anew.
            sh("nft delete table inet $(nft list tables | sed -n 's/.*inet \\(gorae-.*\\)/\\1/p')");
            network.reconcile(&HashSet::new()).await.expect("written");
            all(SERVICE, "our table is newer");
            sh(remove);
            all(POD, "it is gone again");
            take_away(&network, id).await;
        }
    });
}

#[test]
fn an_address_of_kube_ipvs0_is_none_of_the_nodes() {
    as_node("services::an_address_of_kube_ipvs0_is_none_of_the_nodes", async |root| {
        // The real one is a dummy interface; packets to its addresses are local all the same.
        sh("ip link add kube-ipvs0 type bridge && ip addr add 10.96.0.1/32 dev kube-ipvs0 &&
            ip addr add fd00:96::1/128 dev kube-ipvs0 nodad
            ip -n outside route add 10.96.0.0/16 via 192.0.2.2 && ip -n outside route add fd00:96::/64 via fd00:2::2");
        let config = NetworkConfig { subnet6: Some("fd00:64::/64".parse().expect("net")), ..Default::default() };
        let network = Network::open(config, root, &[]).await.expect("network");
        pod(&network, "a", &[tcp("", 443, 80), tcp("10.96.0.9", 12301, 80)]).await;
        pod(&network, "b", &[]).await;
        serve_as("a", "[::]:80", POD);
        for from in ["outside", "", "b"] {
            for node in [NODE.to_owned(), format!("[{NODE6}]")] {
                assert_eq!(answers(from, &format!("{node}:443")).as_deref(), Some(POD), "{from:?} {node}");
            }
            for service in ["10.96.0.1:443", "[fd00:96::1]:443"] {
                assert_eq!(answers(from, service), None, "from {from:?}");
            }
        }
        // kube-proxy adds one, and takes one away: soon, without a pod or a look in between.
        sh("ip addr add 10.96.0.9/32 dev kube-ipvs0; ip addr del 10.96.0.1/32 dev kube-ipvs0");
        sh("ip addr add 10.96.0.1/32 dev eth7");
        let begun = Instant::now();
        while !sh("nft list ruleset").contains("{ 10.96.0.9 }") {
            assert!(begun.elapsed() < Duration::from_secs(5), "nobody noticed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(answers("outside", "10.96.0.9:12301"), None, "not even a port on that address");
        assert_eq!(answers("outside", "10.96.0.1:443").as_deref(), Some(POD), "an address of the node now");
        // An external address of a Service may be one of the node's own: the API server's Service must not lose a port that
        // the node has there.
        sh(&format!("ip addr add {NODE}/32 dev kube-ipvs0; ip addr add {NODE6}/128 dev kube-ipvs0 nodad"));
        network.reconcile(&HashSet::new()).await.expect("looked");
        for node in [NODE.to_owned(), format!("[{NODE6}]")] {
            assert_eq!(answers("outside", &format!("{node}:443")).as_deref(), Some(POD), "{node}");
        }
        assert_eq!(answers("outside", "[fd00:96::1]:443"), None, "still a Service's alone");
    });
}

#[test]
fn pods_of_a_cni_network_keep_off_the_addresses_of_services_as_well() {
    as_node("services::pods_of_a_cni_network_keep_off_the_addresses_of_services_as_well", async |root| {
        sh("ip link add kube-ipvs0 type bridge && ip addr add 10.96.0.1/32 dev kube-ipvs0
            ip -n outside route add 10.96.0.0/16 via 192.0.2.2");
        let network = open(root, &[]).await;
        network.reserve_ports("a", &[tcp("", 12302, 80)], Mapper::Gorae).await.expect("reserved");
        network.publish_at("a", &bridged("a", 2)).await.expect("published");
        serve_as("a", "[::]:80", POD);
        assert_eq!(answers("outside", "10.96.0.1:12302"), None);
        assert_eq!(answers("outside", &format!("{NODE}:12302")).as_deref(), Some(POD));
    });
}
