// SPDX-License-Identifier: Apache-2.0
//! Restarts, many pods, several daemons, and what is left behind.

use super::stage::{NODE, OUTSIDE, as_node, call, live, open, pod, serve, sh, take_away, tcp};
use gorae_network::{CidrOutcome, Network, NetworkConfig, NetworkErrorKind, Others};
use ipnet::IpNet;
use std::collections::HashSet;
use std::net::{IpAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

/// Counts the descriptors of this process.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("own descriptors").count()
}

#[test]
fn a_restart_finds_pods_ports_and_subnet_and_drops_what_is_nobodys() {
    as_node("lifecycle::a_restart_finds_pods_ports_and_subnet_and_drops_what_is_nobodys", async |root| {
        sh("nft add table inet theirs");
        let mappings = [tcp("", 12020, 80)];
        let before = open(root, &[]).await;
        let a = pod(&before, "a", &mappings).await;
        let gone = pod(&before, "gone", &[tcp("", 12021, 80)]).await;
        serve("a", "0.0.0.0:80");
        drop(before);
        sh("ip netns del gone");

        let after = open(root, &[live("a", &a, &mappings)]).await;
        assert_eq!(after.count(), (1, 1));
        assert!(call("", "127.0.0.1:12020").is_some());
        let table = sh(&format!("nft list table inet {}", a.network.bridge));
        assert!(table.contains("12020") && !table.contains("12021"), "{table}");
        assert!(TcpListener::bind("0.0.0.0:12020").is_err(), "the port is held again");
        assert_eq!(after.prepare("a", &mappings).await.expect("as before"), a);
        let next = pod(&after, "next", &[tcp("", 12021, 80)]).await;
        assert_ne!(next.ips, a.ips);
        assert_eq!(next.network.bridge, gone.network.bridge);
        take_away(&after, "a").await;
        assert_eq!(call("", "127.0.0.1:12020"), None);
        assert!(sh("nft list tables").contains("theirs"), "other tables stay");
    });
}

#[test]
fn a_subnet_that_others_have_and_the_node_does_not_show_is_not_chosen() {
    as_node("lifecycle::a_subnet_that_others_have_and_the_node_does_not_show_is_not_chosen", async |root| {
        let others = |nets: &[&str]| {
            let nets: Vec<IpNet> = nets.iter().map(|net| net.parse().expect("net")).collect();
            Others::new(move || nets.clone())
        };
        for (nets, chosen) in [
            (&["10.64.3.0/24", "fd00:64::/64"][..], "10.64.16.0/20"),
            // The earlier choice stays as long as nobody has it.
            (&[][..], "10.64.16.0/20"),
            (&["10.64.0.0/16"][..], "10.65.0.0/20"),
        ] {
            let network =
                Network::open_beside(others(nets), NetworkConfig::default(), root, &[]).await.expect("opened");
            pod(&network, "a", &[]).await;
            let shown: Vec<String> = network.reserved_subnets().iter().map(ToString::to_string).collect();
            assert_eq!(shown, [chosen], "{nets:?}");
            take_away(&network, "a").await;
            assert!(network.remove_if_unused().await.expect("removed"));
        }
        let subnet = "10.77.0.0/24".parse().ok();
        let fresh = tempfile::tempdir().expect("directory");
        let config = NetworkConfig { subnet, ..NetworkConfig::default() };
        let configured = Network::open(config, fresh.path(), &[]).await.expect("opened");
        assert_eq!(configured.reserved_subnets().len(), 1, "before its first pod");
    });
}

#[test]
fn a_killed_daemons_leftovers_are_cleaned_though_no_pod_lives() {
    as_node("lifecycle::a_killed_daemons_leftovers_are_cleaned_though_no_pod_lives", async |root| {
        let before = open(root, &[]).await;
        let a = pod(&before, "a", &[tcp("", 12022, 80)]).await;
        drop(before);
        sh("ip netns del a");
        let after = open(root, &[]).await;
        assert!(!sh(&format!("nft list table inet {}", a.network.bridge)).contains("12022"));
        assert!(after.remove_if_unused().await.expect("removed"));
        assert_eq!(sh("nft list tables"), "");
        assert!(!sh("ip link").contains("gorae"));
    });
}

#[test]
fn a_clean_shutdown_leaves_nothing_and_the_next_start_has_the_same_subnet() {
    as_node("lifecycle::a_clean_shutdown_leaves_nothing_and_the_next_start_has_the_same_subnet", async |root| {
        let network = open(root, &[]).await;
        assert!(!sh("ip link").contains("gorae"), "no pod, no bridge");
        assert_eq!(sh("nft list tables"), "");
        let a = pod(&network, "a", &[]).await;
        assert!(!network.remove_if_unused().await.expect("asked"), "a pod lives");
        take_away(&network, "a").await;
        assert!(network.remove_if_unused().await.expect("removed"));
        assert!(network.remove_if_unused().await.expect("removed already"));
        assert!(!sh("ip link").contains("gorae"));
        assert_eq!(sh("nft list tables"), "");
        // The same handle recreates it, and so does the next daemon.
        let b = pod(&network, "b", &[]).await;
        assert_eq!(a.network.gateways, b.network.gateways);
        take_away(&network, "b").await;
        network.remove_if_unused().await.expect("removed");
        let later = open(root, &[]).await.prepare("c", &[]).await.expect("prepared");
        assert_eq!((later.network.bridge, later.network.gateways), (a.network.bridge, a.network.gateways));
    });
}

#[test]
fn two_daemons_side_by_side_share_nothing() {
    as_node("lifecycle::two_daemons_side_by_side_share_nothing", async |root| {
        let (root1, root2) = (root.join("1"), root.join("2"));
        std::fs::create_dir(&root1).and_then(|()| std::fs::create_dir(&root2)).expect("directories");
        let (one, two) = (open(&root1, &[]).await, open(&root2, &[]).await);
        // Both choose at the same moment.
        let (a, b) = tokio::join!(one.prepare("a", &[]), two.prepare("b", &[]));
        let (a, b) = (a.expect("prepared"), b.expect("prepared"));
        assert_ne!(a.network.bridge, b.network.bridge);
        assert_ne!(a.network.gateways, b.network.gateways);
        let c = pod(&one, "c", &[tcp("", 12023, 80)]).await;
        let d = pod(&two, "d", &[]).await;
        serve("c", "0.0.0.0:80");
        serve("d", "0.0.0.0:80");
        serve("outside", "0.0.0.0:7000");
        let node: IpAddr = NODE.parse().expect("address");
        for from in ["c", "d"] {
            assert_eq!(call(from, format!("{OUTSIDE}:7000")), Some(node));
        }
        assert!(call("d", format!("{NODE}:12023")).is_some());
        let taken = two.prepare("e", &[tcp("", 12023, 80)]).await.expect_err("the other daemon's pod has it");
        assert_eq!(taken.kind(), NetworkErrorKind::AlreadyExists);
        two.release("b");
        take_away(&two, "d").await;
        assert!(two.remove_if_unused().await.expect("removed"));
        assert!(call("", "127.0.0.1:12023").is_some());
        assert_eq!((c.ips.len(), d.ips.len()), (1, 1));
    });
}

#[test]
fn a_process_that_is_not_root_cannot_keep_pods_from_being_made() {
    as_node("lifecycle::a_process_that_is_not_root_cannot_keep_pods_from_being_made", async |root| {
        // A name in this namespace that any process may take: nothing may depend on it.
        let name = SocketAddr::from_abstract_name("gorae-network").expect("a name");
        let _held = UnixDatagram::bind_addr(&name).expect("free");
        open(root, &[]).await.prepare("a", &[]).await.expect("prepared");
        assert_eq!(sh("ls /run"), "netns\n", "nothing of the lock stays");
    });
}

#[test]
fn when_addresses_run_out_the_error_counts_them_and_a_release_helps() {
    as_node("lifecycle::when_addresses_run_out_the_error_counts_them_and_a_release_helps", async |root| {
        let config = NetworkConfig { subnet: Some("10.9.8.0/29".parse().expect("net")), ..Default::default() };
        let network = Network::open(config, root, &[]).await.expect("network");
        for i in 0..5 {
            network.prepare(&format!("pod-{i}"), &[]).await.expect("free");
        }
        let error = network.prepare("pod-5", &[]).await.expect_err("full");
        assert_eq!(error.kind(), NetworkErrorKind::ResourceExhausted);
        assert_eq!(error.to_string(), "no free address: 5 of 5 addresses of 10.9.8.0/29 are in use");
        network.release("pod-3");
        let plan = network.prepare("pod-5", &[]).await.expect("free again");
        assert_eq!(plan.network.addresses, ["10.9.8.5/32"]);
    });
}

#[test]
fn a_thousand_pods_leave_no_address_port_rule_or_descriptor_behind() {
    as_node("lifecycle::a_thousand_pods_leave_no_address_port_rule_or_descriptor_behind", async |root| {
        let network = open(root, &[]).await;
        let first = network.prepare("first", &[]).await.expect("prepared");
        let (before, empty) = (descriptors(), sh(&format!("nft list table inet {}", first.network.bridge)));
        for i in 0..1000_u16 {
            let id = format!("pod-{i}");
            // Every tenth has host ports and goes through nft.
            let mappings = if i % 10 == 0 { vec![tcp("", 20_000 + i % 50, 80)] } else { Vec::new() };
            network.prepare(&id, &mappings).await.expect("prepared");
            network.publish(&id).await.expect("published");
            network.withdraw(&id).await.expect("withdrawn");
            network.release(&id);
        }
        assert_eq!(network.count(), (1, 0));
        assert_eq!(descriptors(), before);
        assert_eq!(sh(&format!("nft list table inet {}", first.network.bridge)), empty);
    });
}

#[test]
fn a_bridge_that_somebody_removed_is_made_again_with_its_pods() {
    as_node("lifecycle::a_bridge_that_somebody_removed_is_made_again_with_its_pods", async |root| {
        let network = open(root, &[]).await;
        let a = pod(&network, "a", &[tcp("", 12024, 80)]).await;
        serve("a", "0.0.0.0:80");
        sh(&format!("ip link del {}", a.network.bridge));
        assert_eq!(call("", "127.0.0.1:12024"), None);
        let b = pod(&network, "b", &[]).await;
        serve("b", "0.0.0.0:80");
        assert!(call("a", format!("{}:80", b.ips[0])).is_some());
        assert!(call("", "127.0.0.1:12024").is_some());
    });
}

#[test]
fn a_start_that_finds_no_subnet_serves_tells_why_and_takes_its_pods_over_later() {
    as_node("lifecycle::a_start_that_finds_no_subnet_serves_tells_why_and_takes_its_pods_over_later", async |root| {
        let (mappings, everything) = ([tcp("", 12027, 80)], "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16");
        let before = open(root, &[]).await;
        let a = pod(&before, "a", &mappings).await;
        let gone = pod(&before, "gone", &[]).await;
        drop(before);
        damage(&root.join("network"));
        sh(&format!("ip link del {}; for net in {everything}; do ip route add $net dev eth7; done", a.network.bridge));
        let after = open(root, &[live("a", &a, &mappings), live("gone", &gone, &[])]).await;
        let told = after.status().expect_err("no subnet");
        assert!(told.message.contains("no free subnet"), "{told:?}");
        assert!(after.prepare("b", &[]).await.is_err() && after.reconcile(&HashSet::new()).await.is_err());
        assert!(after.set_pod_cidr("10.244.3.0/24").await.is_err(), "it is not known where the pods live");
        assert!(!after.remove_if_unused().await.expect("asked"), "pods live");
        take_away(&after, "gone").await;
        sh(&format!("for net in {everything}; do ip route del $net dev eth7; done"));
        after.reconcile(&HashSet::new()).await.expect("tried again");
        assert_eq!((after.status(), after.count()), (Ok(()), (1, 1)));
        serve("a", "0.0.0.0:80");
        assert!(call("", "127.0.0.1:12027").is_some(), "with its host ports, on the new bridge");
        assert_ne!(after.prepare("b", &[]).await.expect("prepared").ips, a.ips);
    });
}

#[test]
fn a_table_whose_chains_were_flushed_is_written_at_the_next_look() {
    as_node("lifecycle::a_table_whose_chains_were_flushed_is_written_at_the_next_look", async |root| {
        let network = open(root, &[]).await;
        let plan = pod(&network, "a", &[tcp("", 12029, 80)]).await;
        serve("a", "0.0.0.0:80");
        for flush in ["table inet TABLE", "chain inet TABLE guard", "chain inet TABLE hostports"] {
            sh(&format!("nft flush {}", flush.replace("TABLE", &plan.network.bridge)));
            network.reconcile(&HashSet::new()).await.expect("written");
            assert!(call("", "127.0.0.1:12029").is_some(), "{flush}");
            let guard = sh(&format!("nft list chain inet {} guard", plan.network.bridge));
            assert_eq!(guard.matches("drop").count(), 5, "{guard}");
        }
    });
}

#[test]
fn a_table_that_could_not_be_written_is_written_by_a_later_look() {
    as_node("lifecycle::a_table_that_could_not_be_written_is_written_by_a_later_look", async |root| {
        let network = open(root, &[]).await;
        pod(&network, "a", &[tcp("", 12028, 80)]).await;
        serve("a", "0.0.0.0:80");
        sh("nft flush ruleset
            for file in /usr/sbin/nft /sbin/nft /usr/local/sbin/nft /usr/bin/nft; do
              if [ -f $file ]; then mount --bind /dev/null $file; fi; done");
        network.reconcile(&HashSet::new()).await.expect_err("there is no nft");
        network.reconcile(&HashSet::new()).await.expect("it is reported already");
        assert!(network.degraded().is_some());
        sh("for file in /usr/sbin/nft /sbin/nft /usr/local/sbin/nft /usr/bin/nft; do
              while umount $file 2>/dev/null; do :; done; done");
        network.reconcile(&HashSet::new()).await.expect("tried again");
        assert_eq!(network.degraded(), None);
        assert!(call("", "127.0.0.1:12028").is_some());
    });
}

#[test]
fn kubelets_pod_cidr_is_used_from_the_first_pod_on_and_kept_over_a_restart() {
    as_node("lifecycle::kubelets_pod_cidr_is_used_from_the_first_pod_on_and_kept_over_a_restart", async |root| {
        let network = open(root, &[]).await;
        assert_eq!(network.set_pod_cidr("10.244.3.0/24").await.expect("asked"), CidrOutcome::Adopted);
        assert_eq!(network.set_pod_cidr("10.244.3.0/24").await.expect("asked"), CidrOutcome::Unchanged);
        let a = pod(&network, "a", &[]).await;
        assert_eq!(a.network.addresses, ["10.244.3.2/32"]);
        take_away(&network, "a").await;
        assert_eq!(network.set_pod_cidr("10.244.9.0/24").await.expect("asked"), CidrOutcome::Adopted);
        drop(network);
        let b = open(root, &[]).await.prepare("b", &[]).await.expect("prepared");
        assert_eq!(b.network.gateways, ["10.244.9.1"]);
        assert!(open(root, &[]).await.set_pod_cidr("10.244.0.0").await.is_err());
    });
}

#[test]
fn a_pod_cidr_that_comes_while_pods_live_is_used_when_the_last_of_them_is_gone() {
    as_node("lifecycle::a_pod_cidr_that_comes_while_pods_live_is_used_when_the_last_of_them_is_gone", async |root| {
        let network = open(root, &[]).await;
        pod(&network, "static", &[tcp("", 12026, 80)]).await;
        assert_eq!(network.set_pod_cidr("10.244.3.0/24").await.expect("asked"), CidrOutcome::Waiting);
        let early = pod(&network, "early", &[]).await;
        assert_eq!(early.network.gateways, ["10.64.0.1"], "as long as one lives");
        assert_eq!(network.status(), Ok(()));
        let told = network.degraded().expect("a reason");
        assert!(told.message.contains("10.244.3.0/24") && told.message.contains("10.64.0.0/20"), "{told:?}");
        take_away(&network, "static").await;
        take_away(&network, "early").await;
        assert_eq!(network.degraded(), None);
        let a = pod(&network, "a", &[tcp("", 12026, 80)]).await;
        assert_eq!(a.network.addresses, ["10.244.3.2/32"]);
        serve("a", "0.0.0.0:80");
        assert!(call("", "127.0.0.1:12026").is_some());
        assert!(!sh("ip -o address").contains("10.64.0.1"), "the old bridge is gone");
        assert_eq!(network.set_pod_cidr("10.244.3.0/24").await.expect("asked"), CidrOutcome::Unchanged);
    });
}

#[test]
fn a_pod_cidr_that_waits_is_kept_over_restarts_until_one_finds_no_pod() {
    as_node("lifecycle::a_pod_cidr_that_waits_is_kept_over_restarts_until_one_finds_no_pod", async |root| {
        let a = pod(&open(root, &[]).await, "a", &[]).await;
        let again = open(root, &[live("a", &a, &[])]).await;
        assert_eq!(again.set_pod_cidr("10.244.3.0/24").await.expect("asked"), CidrOutcome::Waiting);
        let again = open(root, &[live("a", &a, &[])]).await;
        assert!(again.degraded().is_some());
        assert_eq!(again.prepare("b", &[]).await.expect("prepared").network.gateways, a.network.gateways);
        sh("ip netns del a");
        let b = open(root, &[]).await.prepare("b", &[]).await.expect("prepared");
        assert_eq!(b.network.addresses, ["10.244.3.2/32"]);
        // A CIDR that kubelet replaces is no longer waited for.
        let last = open(root, &[live("b", &b, &[])]).await;
        assert_eq!(last.set_pod_cidr("10.244.9.0/24").await.expect("asked"), CidrOutcome::Waiting);
        assert_eq!(last.set_pod_cidr("10.244.3.0/24").await.expect("asked"), CidrOutcome::Unchanged);
        assert_eq!(last.degraded(), None);
    });
}

#[test]
fn a_damaged_record_is_read_back_from_the_bridge_while_pods_live() {
    as_node("lifecycle::a_damaged_record_is_read_back_from_the_bridge_while_pods_live", async |root| {
        // Something else has the first candidate, so a new choice would give a different subnet.
        sh("ip addr add 10.64.3.1/24 dev eth7");
        let a = pod(&open(root, &[]).await, "a", &[]).await;
        assert_eq!(a.network.gateways, ["10.64.16.1"]);
        sh("ip addr del 10.64.3.1/24 dev eth7");
        damage(&root.join("network"));
        let after = open(root, &[live("a", &a, &[])]).await;
        let b = pod(&after, "b", &[]).await;
        assert_eq!(b.network.gateways, a.network.gateways);
        assert_ne!(b.ips, a.ips);
        serve("a", "0.0.0.0:80");
        assert!(call("b", format!("{}:80", a.ips[0])).is_some());
    });
}

fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).expect("record");
    *bytes.last_mut().expect("not empty") ^= 0x20;
    std::fs::write(file, bytes).expect("writable");
}
