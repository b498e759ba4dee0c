// SPDX-License-Identifier: Apache-2.0
//! What other programs take from bridge and host ends comes back: at the next look at the node, and at the next start.

use super::stage::{as_node, bridged_pod, call, live, open, pod, serve, sh, take_away};
use gorae_network::{LivePod, Network, NetworkConfig, PodNetworkPlan};
use std::collections::HashSet;
use std::path::Path;

fn dual_stack() -> NetworkConfig {
    NetworkConfig { subnet6: Some("fd00:64::/64".parse().expect("net")), ..Default::default() }
}

async fn open_both(root: &Path, live: &[LivePod]) -> Network {
    Network::open(dual_stack(), root, live).await.expect("network")
}

/// What the node reaches of a pod, for each of its addresses.
fn reached(plan: &PodNetworkPlan) -> Vec<bool> {
    plan.ips.iter().map(|ip| call("", std::net::SocketAddr::new(*ip, 7000)).is_some()).collect()
}

/// Everything that leads to a pod.
fn ways(plan: &PodNetworkPlan) -> String {
    let host = &plan.network.host_interface;
    sh(&format!(
        "ip route show dev {host} && ip -6 route show dev {host} && ip -6 -br addr show dev {host}
         ip neigh show dev {host} nud permanent && ip -6 neigh show dev {host} nud permanent"
    ))
}

/// Each takes something away from `BRIDGE` or `HOST`.
const DAMAGE: [&str; 7] = [
    "ip addr flush dev BRIDGE",
    "ip addr del 10.64.0.1/20 dev BRIDGE; ip addr add 10.64.0.1/20 dev BRIDGE",
    "ip addr del fd00:64::1/64 dev BRIDGE; ip addr add fd00:64::1/64 dev BRIDGE nodad",
    "ip link set BRIDGE down",
    "ip link set HOST down; ip link set HOST up",
    "ip route flush dev HOST",
    "ip addr flush dev HOST",
];

#[test]
fn the_next_look_brings_back_what_was_flushed_or_taken_down() {
    as_node("repair::the_next_look_brings_back_what_was_flushed_or_taken_down", async |root| {
        let network = open_both(root, &[]).await;
        let (a, b) = (pod(&network, "a", &[]).await, pod(&network, "b", &[]).await);
        serve("a", "[::]:7000");
        serve("b", "[::]:7000");
        let (ways_a, ways_b) = (ways(&a), ways(&b));
        for damage in DAMAGE {
            sh(&damage.replace("BRIDGE", &a.network.bridge).replace("HOST", &a.network.host_interface));
            network.reconcile(&HashSet::new()).await.expect("looked");
            assert_eq!((ways(&a), ways(&b)), (ways_a.clone(), ways_b.clone()), "after {damage}");
            assert_eq!((reached(&a), reached(&b)), (vec![true; 2], vec![true; 2]), "after {damage}");
            assert!(call("a", format!("{}:7000", b.ips[0])).is_some(), "after {damage}");
        }
        let quiet = sh("ip -ts route show table all; ip -6 route show table all");
        network.reconcile(&HashSet::new()).await.expect("looked");
        assert_eq!(sh("ip -ts route show table all; ip -6 route show table all"), quiet, "all is well");
    });
}

#[test]
fn a_start_brings_back_what_was_flushed_or_taken_down() {
    as_node("repair::a_start_brings_back_what_was_flushed_or_taken_down", async |root| {
        let mut network = open_both(root, &[]).await;
        let a = pod(&network, "a", &[]).await;
        serve("a", "[::]:7000");
        let before = ways(&a);
        for damage in DAMAGE {
            drop(network);
            sh(&damage.replace("BRIDGE", &a.network.bridge).replace("HOST", &a.network.host_interface));
            network = open_both(root, &[live("a", &a, &[])]).await;
            assert_eq!((ways(&a), reached(&a)), (before.clone(), vec![true; 2]), "after {damage}");
        }
    });
}

#[test]
fn what_could_not_be_brought_back_is_tried_again_at_the_next_look() {
    as_node("repair::what_could_not_be_brought_back_is_tried_again_at_the_next_look", async |root| {
        let network = open(root, &[]).await;
        let a = pod(&network, "a", &[]).await;
        serve("a", "0.0.0.0:7000");
        // Another program's address on the bridge: whose is it?
        sh(&format!("nft flush ruleset; ip addr flush dev {0}; ip addr add 10.99.0.1/24 dev {0}", a.network.bridge));
        let error = network.reconcile(&HashSet::new()).await.expect_err("refused").to_string();
        assert!(error.contains("belongs to something else"), "{error}");
        assert_eq!(reached(&a), [false]);
        assert!(sh("nft list tables").contains(&a.network.bridge), "the rest was repaired");
        sh(&format!("ip addr del 10.99.0.1/24 dev {}", a.network.bridge));
        network.reconcile(&HashSet::new()).await.expect("tried again");
        assert_eq!(reached(&a), [true]);
    });
}

#[test]
fn the_node_answers_on_the_bridge_only_for_pods_that_are_there_and_only_while_others_ask() {
    let name = "repair::the_node_answers_on_the_bridge_only_for_pods_that_are_there_and_only_while_others_ask";
    as_node(name, async |root| {
        let before = open_both(root, &[]).await;
        let old = bridged_pod(&before, "old").await;
        drop(before);
        let network = open_both(root, &[live("old", &old, &[])]).await;
        let (a, b) = (pod(&network, "a", &[]).await, pod(&network, "b", &[]).await);
        let answered = || sh("ip -6 neigh show proxy");
        assert!(answered().contains(&format!("{} ", a.ips[1])) && answered().contains(&format!("{} ", b.ips[1])));
        take_away(&network, "a").await;
        network.reconcile(&HashSet::new()).await.expect("looked");
        assert!(!answered().contains(&format!("{} ", a.ips[1])) && answered().contains(&format!("{} ", b.ips[1])));
        let soon = network.prepare("soon", &[]).await.expect("prepared");
        network.reconcile(&HashSet::new()).await.expect("looked");
        assert!(answered().contains(&format!("{} ", soon.ips[1])), "a pod that is still being made is known");
        take_away(&network, "old").await;
        sh(&format!("ip link del {} 2>/dev/null || true", old.network.host_interface));
        network.reconcile(&HashSet::new()).await.expect("looked");
        assert_eq!(answered(), "", "nobody asks any more");
        pod(&network, "c", &[]).await;
        assert_eq!(answered(), "");
    });
}
