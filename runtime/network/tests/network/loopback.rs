// SPDX-License-Identifier: Apache-2.0
//! `route_localnet` of interfaces: on while a host port needs it and the guard stands, and otherwise as it was.

use super::stage::{NODE, as_node, bridged, call, open, pod, serve, sh, take_away, tcp};
use gorae_network::{LivePod, Mapper, Network};
use gorae_proto::cri::PortMapping;
use std::collections::HashSet;
use std::net::IpAddr;

const NFT: &str = "/usr/sbin/nft /sbin/nft /usr/local/sbin/nft /usr/bin/nft";

fn is_on(interface: &str) -> bool {
    sh(&format!("cat /proc/sys/net/ipv4/conf/{interface}/route_localnet")).trim() == "1"
}

/// A pod of a CNI network, with its host ports open.
async fn cni_pod(network: &Network, id: &str, last: u8, mappings: &[PortMapping]) -> LivePod {
    network.reserve_ports(id, mappings, Mapper::Gorae).await.expect("reserved");
    let ips = bridged(id, last).to_vec();
    network.publish_at(id, &ips).await.expect("published");
    serve(id, "[::]:80");
    LivePod { pod_id: id.into(), ips, port_mappings: mappings.to_vec(), ..LivePod::default() }
}

#[test]
fn it_goes_with_the_last_host_port_that_needs_it() {
    as_node("loopback::it_goes_with_the_last_host_port_that_needs_it", async |root| {
        let network = open(root, &[]).await;
        cni_pod(&network, "elsewhere", 2, &[tcp(NODE, 12601, 80)]).await;
        assert!(!is_on("cni0"), "a port that is not on the loopback needs none");
        cni_pod(&network, "a", 3, &[tcp("", 12602, 80)]).await;
        cni_pod(&network, "b", 4, &[tcp("127.0.0.1", 12603, 80)]).await;
        assert!(is_on("cni0") && root.join("loopback").exists());
        assert!(call("", "127.0.0.1:12602").is_some() && call("", "127.0.0.1:12603").is_some());
        take_away(&network, "a").await;
        assert!(is_on("cni0") && call("", "127.0.0.1:12603").is_some());
        take_away(&network, "b").await;
        assert!(!is_on("cni0") && !root.join("loopback").exists(), "as it was");
        assert!(call("", format!("{NODE}:12601")).is_some(), "the others are left alone");
        // One that somebody else switched on is his.
        sh("echo 1 > /proc/sys/net/ipv4/conf/cni0/route_localnet");
        cni_pod(&network, "c", 5, &[tcp("", 12604, 80)]).await;
        ["c", "elsewhere"].iter().for_each(|id| sh(&format!("ip netns del {id}")).clear());
        for id in ["c", "elsewhere"] {
            network.withdraw(id).await.expect("withdrawn");
            network.release(id);
        }
        assert!(network.remove_if_unused().await.expect("removed") && is_on("cni0"));
    });
}

#[test]
fn what_a_killed_daemon_switched_on_is_off_after_the_next_start_unless_its_pods_live() {
    as_node(
        "loopback::what_a_killed_daemon_switched_on_is_off_after_the_next_start_unless_its_pods_live",
        async |root| {
            let before = open(root, &[]).await;
            let a = cni_pod(&before, "a", 2, &[tcp("", 12611, 80)]).await;
            drop(before);
            let again = open(root, std::slice::from_ref(&a)).await;
            assert!(is_on("cni0") && call("", "127.0.0.1:12611").is_some(), "its pod lives");
            drop(again);
            // Somebody removed the table as well.
            sh("nft flush ruleset");
            let after = open(root, &[]).await;
            assert!(!is_on("cni0") && !root.join("loopback").exists());
            cni_pod(&after, "b", 3, &[tcp("", 12612, 80)]).await;
            assert!(is_on("cni0"));
            take_away(&after, "b").await;
            assert!(after.remove_if_unused().await.expect("removed") && !is_on("cni0"));
        },
    );
}

#[test]
fn an_interface_with_a_default_route_keeps_it_off_and_other_addresses_reach_the_pod() {
    as_node(
        "loopback::an_interface_with_a_default_route_keeps_it_off_and_other_addresses_reach_the_pod",
        async |root| {
            let network = open(root, &[]).await;
            // On the node's own link, as with macvlan.
            network.reserve_ports("lan", &[tcp("", 12621, 80)], Mapper::Gorae).await.expect("reserved");
            let ip: IpAddr = "192.0.2.77".parse().expect("address");
            network.publish_at("lan", &[ip]).await.expect("published");
            assert!(!is_on("eth7"));
            cni_pod(&network, "a", 2, &[tcp("", 12622, 80)]).await;
            assert!(is_on("cni0"));
            sh("ip route replace default nexthop via 192.0.2.1 dev eth7 nexthop via 10.22.0.9 dev cni0");
            cni_pod(&network, "b", 3, &[tcp("", 12623, 80)]).await;
            assert!(!is_on("cni0"), "one of two ways out");
            assert!(call("outside", format!("{NODE}:12622")).is_some());
            assert!(call("", format!("{NODE}:12623")).is_some());
            assert_eq!(network.degraded(), None);
        },
    );
}

#[test]
fn without_its_guard_it_is_off_until_the_table_is_written_again() {
    as_node("loopback::without_its_guard_it_is_off_until_the_table_is_written_again", async |root| {
        let network = open(root, &[]).await;
        cni_pod(&network, "a", 2, &[tcp("", 12631, 80)]).await;
        let own = pod(&network, "own", &[tcp("", 12632, 80)]).await.network.host_interface;
        assert!(is_on("cni0") && is_on(&own));
        sh(&format!(
            "nft flush ruleset; for file in {NFT}; do if [ -f $file ]; then mount --bind /dev/null $file; fi; done"
        ));
        network.reconcile(&HashSet::new()).await.expect_err("there is no nft");
        assert!(!is_on("cni0") && !is_on(&own));
        let told = network.degraded().expect("a reason").message;
        assert!(told.contains("nothing checks that they send from their own addresses"), "{told}");
        sh(&format!("for file in {NFT}; do while umount $file 2>/dev/null; do :; done; done"));
        network.reconcile(&HashSet::new()).await.expect("written");
        assert!(is_on("cni0") && is_on(&own) && call("", "127.0.0.1:12631").is_some());
        // Nor is it switched on where only the guard is lost, which a new element alone would not notice.
        let guard = format!("chain inet {} guard", sh("nft list tables").trim().rsplit(' ').next().expect("its name"));
        sh(&format!("nft flush {guard}"));
        cni_pod(&network, "b", 3, &[tcp("", 12633, 80)]).await;
        assert_eq!(sh(&format!("nft list {guard}")).matches("drop").count(), 5);
    });
}
