// SPDX-License-Identifier: Apache-2.0
//! Host ports of pods whose addresses come from a CNI network: no bridge, no subnet, only ports.

use super::stage::{
    NODE, NODE6, OUTSIDE, as_node, bridged, call, inside, mapping, open, route_loopback_of_outside_here, routed, serve,
    sh, take_away, tcp,
};
use gorae_network::{LivePod, Mapper, Network, NetworkErrorKind};
use gorae_proto::cri::{PortMapping, Protocol};
use std::collections::HashSet;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::time::Duration;

/// Reserves ports, makes a pod, and opens the ports, as the daemon does around a plugin.
async fn pod_at(network: &Network, id: &str, mappings: &[PortMapping], make: impl FnOnce(&str) -> [IpAddr; 2]) {
    network.reserve_ports(id, mappings, Mapper::Gorae).await.expect("reserved");
    let ips = make(id);
    network.publish_at(id, &ips).await.expect("published");
}

/// Asks a UDP server in a namespace through a host port; whether an answer came from there.
fn ask(from: &'static str, server: &UdpSocket, to: String) -> bool {
    server.set_read_timeout(Some(Duration::from_secs(1))).expect("set");
    let any = if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    let client = if from.is_empty() { UdpSocket::bind(any) } else { inside(from, move || UdpSocket::bind(any)) };
    let client = client.expect("free port");
    client.set_read_timeout(Some(Duration::from_secs(1))).expect("set");
    let mut buffer = [0; 16];
    client.connect(&to).and_then(|()| client.send(b"?")).is_ok_and(|_| {
        let asked = server.recv_from(&mut buffer).and_then(|(_, peer)| server.send_to(b"!", peer));
        asked.is_ok() && client.recv(&mut buffer).is_ok_and(|length| buffer[..length] == *b"!")
    })
}

/// The daemon's tables and bridges on the node.
fn ours() -> String {
    sh("nft list tables | grep gorae || true; ip -o link | grep gorae || true")
}

#[test]
fn they_answer_from_everywhere_in_both_families_and_are_gone_with_the_pod() {
    as_node("elsewhere::they_answer_from_everywhere_in_both_families_and_are_gone_with_the_pod", async |root| {
        let network = open(root, &[]).await;
        let ports = |port| [tcp("", port, 80), mapping(Protocol::Udp, "", port, 53)];
        pod_at(&network, "a", &ports(12100), |id| bridged(id, 2)).await;
        pod_at(&network, "b", &ports(12101), |id| routed(id, 2)).await;
        bridged("c", 3);
        routed("d", 3);
        for (id, port) in [("a", 12100), ("b", 12101)] {
            serve(id, "[::]:80");
            let server = inside(id, || UdpSocket::bind("[::]:53").expect("free port"));
            for bridge_netfilter in ["1", "0"] {
                sh(&format!(
                    "for family in ip ip6; do
                    echo {bridge_netfilter} > /proc/sys/net/bridge/bridge-nf-call-${{family}}tables || true; done"
                ));
                for from in ["outside", "", "a", "b", "c", "d"] {
                    for node in [NODE.to_owned(), format!("[{NODE6}]")] {
                        let to = format!("{node}:{port}");
                        assert!(call(from, &to).is_some(), "tcp from {from:?} to {to}, {bridge_netfilter}");
                        assert!(ask(from, &server, to.clone()), "udp from {from:?} to {to}, {bridge_netfilter}");
                    }
                }
                assert!(call("", format!("127.0.0.1:{port}")).is_some());
                assert!(ask("", &server, format!("127.0.0.1:{port}")));
            }
            let outside: IpAddr = OUTSIDE.parse().expect("address");
            assert_eq!(call("outside", format!("{NODE}:{port}")), Some(outside), "the client's address is kept");
        }
        assert_eq!(call("d", format!("{NODE}:12101")), Some("10.23.0.3".parse().expect("address")), "also a pod's");
        assert!(!ours().contains("link"), "no bridge");
        assert!(!network.remove_if_unused().await.expect("asked"), "the table is in use");
        for id in ["a", "b"] {
            take_away(&network, id).await;
        }
        assert_eq!(call("outside", format!("{NODE}:12100")), None);
        assert!(network.remove_if_unused().await.expect("removed"));
        assert_eq!((ours().as_str(), network.count()), ("", (0, 0)));
        assert!(!root.join("network").exists(), "no subnet was chosen");
    });
}

#[test]
fn a_neighbour_finds_none_behind_the_nodes_loopback_addresses() {
    as_node("elsewhere::a_neighbour_finds_none_behind_the_nodes_loopback_addresses", async |root| {
        let network = open(root, &[]).await;
        let ports = |first| [tcp("127.0.0.1", first, 80), tcp("", first + 1, 80), tcp("::1", first, 80)];
        pod_at(&network, "a", &ports(12110), |id| bridged(id, 2)).await;
        pod_at(&network, "b", &ports(12120), |id| routed(id, 2)).await;
        ["a", "b"].iter().for_each(|id| serve(id, "[::]:80"));
        route_loopback_of_outside_here();
        for route_localnet in ["1", "0"] {
            sh(&format!("echo {route_localnet} > /proc/sys/net/ipv4/conf/all/route_localnet"));
            for port in [12110, 12111, 12120, 12121] {
                for ip in ["127.0.0.1", "127.1.2.3", "[::1]"] {
                    assert_eq!(call("outside", format!("{ip}:{port}")), None, "{ip}:{port} {route_localnet}");
                }
                assert!(call("", format!("127.0.0.1:{port}")).is_some(), "{port} on the node itself");
            }
        }
    });
}

#[test]
fn a_family_that_the_pod_lacks_is_let_go_and_refused_only_when_it_was_asked_for() {
    as_node("elsewhere::a_family_that_the_pod_lacks_is_let_go_and_refused_only_when_it_was_asked_for", async |root| {
        let network = open(root, &[]).await;
        network.reserve_ports("a", &[tcp("", 12102, 80)], Mapper::Gorae).await.expect("reserved");
        assert!(TcpListener::bind("[::]:12102").is_err(), "held until the pod has its addresses");
        let four: IpAddr = "10.22.0.2".parse().expect("address");
        network.publish_at("a", &[four, "10.22.0.3".parse().expect("address")]).await.expect("published");
        drop(TcpListener::bind("[::1]:12102").expect("free again"));
        assert!(TcpListener::bind("127.0.0.1:12102").is_err());
        let table = sh("nft list ruleset");
        assert!(table.contains("10.22.0.2 . 80") && !table.contains("10.22.0.3"), "{table}");
        network.reserve_ports("b", &[tcp("::1", 12103, 80)], Mapper::Gorae).await.expect("reserved");
        let error = network.publish_at("b", &[four]).await.expect_err("no IPv6");
        assert_eq!(error.kind(), NetworkErrorKind::InvalidArgument);
        assert_eq!(error.to_string(), "host port 12103/tcp on ::1: the pod has no address of that family");
        let taken = network.reserve_ports("c", &[tcp("127.0.0.1", 12102, 80)], Mapper::Gorae).await.expect_err("taken");
        assert_eq!(taken.to_string(), "host port 127.0.0.1:12102/tcp is taken by pod a");
        assert!(network.publish_at("c", &[four]).await.is_err(), "nothing was reserved");
    });
}

#[test]
fn ports_that_a_plugin_maps_are_held_and_never_mapped() {
    as_node("elsewhere::ports_that_a_plugin_maps_are_held_and_never_mapped", async |root| {
        let network = open(root, &[]).await;
        let mappings = [tcp("", 12104, 80)];
        network.reserve_ports("a", &mappings, Mapper::Plugin).await.expect("reserved");
        let ips = bridged("a", 2);
        network.publish_at("a", &ips).await.expect("held");
        assert_eq!(ours(), "", "no table");
        assert!(TcpListener::bind("0.0.0.0:12104").is_err());
        let error = network.reserve_ports("b", &mappings, Mapper::Gorae).await.expect_err("taken");
        assert_eq!(error.kind(), NetworkErrorKind::AlreadyExists);
        let live = LivePod {
            pod_id: "a".into(),
            ips: ips.to_vec(),
            port_mappings: mappings.to_vec(),
            mapper: Mapper::Plugin,
            ..LivePod::default()
        };
        drop(network);
        let after = open(root, &[live]).await;
        assert_eq!((ours().as_str(), after.count()), ("", (0, 2)));
        assert!(TcpListener::bind("[::]:12104").is_err());
        take_away(&after, "a").await;
        TcpListener::bind("0.0.0.0:12104").expect("free again");
    });
}

#[test]
fn a_plugin_may_map_a_port_that_a_process_has_and_no_other_pod_gets_it() {
    as_node("elsewhere::a_plugin_may_map_a_port_that_a_process_has_and_no_other_pod_gets_it", async |root| {
        let network = open(root, &[]).await;
        let process = TcpListener::bind("127.0.0.53:12108").expect("free port");
        let mappings = [tcp("", 12108, 80), tcp("::1", 12109, 80)];
        let four: IpAddr = "10.22.0.2".parse().expect("address");
        let refused = network.reserve_ports("a", &mappings, Mapper::Gorae).await.expect_err("it is taken from us");
        assert!(refused.to_string().contains("process"), "{refused}");
        network.reserve_ports("a", &mappings, Mapper::Plugin).await.expect("reserved");
        network.publish_at("a", &[four]).await.expect("what the pod lacks is the plugin's to judge");
        let live = LivePod {
            pod_id: "a".into(),
            ips: vec![four],
            port_mappings: mappings.to_vec(),
            mapper: Mapper::Plugin,
            ..LivePod::default()
        };
        drop(network);
        let network = open(root, &[live]).await;
        drop(process);
        let taken = network.reserve_ports("b", &[tcp("", 12108, 80)], Mapper::Gorae).await.expect_err("a has it");
        assert_eq!(taken.to_string(), "host port 0.0.0.0:12108/tcp is taken by pod a");
        network.reserve_ports("b", &[tcp("::1", 12109, 80)], Mapper::Plugin).await.expect("a has no IPv6");
        network.release("a");
        network.reserve_ports("c", &[tcp("", 12108, 80)], Mapper::Gorae).await.expect("free again");
    });
}

#[test]
fn a_restart_takes_the_pods_over_without_an_address_of_ours() {
    as_node("elsewhere::a_restart_takes_the_pods_over_without_an_address_of_ours", async |root| {
        let mappings = [tcp("", 12105, 80)];
        let live = restart(root, &mappings).await;
        let after = open(root, &[live]).await;
        assert_eq!(after.count(), (0, 2));
        assert_eq!((after.status(), after.degraded()), (Ok(()), None));
        assert!(call("outside", format!("{NODE}:12105")).is_some());
        assert!(call("", "127.0.0.1:12105").is_some());
        assert!(TcpListener::bind("0.0.0.0:12105").is_err(), "held again");
        sh("nft flush ruleset");
        after.reconcile(&HashSet::new()).await.expect("written again");
        assert!(call("outside", format!("{NODE}:12105")).is_some());
        // A pod of the built-in network beside it, with the table's name that the record then has.
        let built_in = super::stage::pod(&after, "own", &[tcp("", 12106, 80)]).await;
        serve("own", "0.0.0.0:80");
        assert!(call("outside", format!("{NODE}:12106")).is_some() && call("a", format!("{NODE}:12106")).is_some());
        assert!(call("outside", format!("{NODE}:12105")).is_some());
        assert_eq!(ours().matches("table").count(), 1);
        take_away(&after, "own").await;
        assert!(!after.remove_if_unused().await.expect("asked"), "a is still there");
        assert!(!sh("ip -o link").contains(&built_in.network.bridge));
        assert!(call("outside", format!("{NODE}:12105")).is_some());
        take_away(&after, "a").await;
        assert!(after.remove_if_unused().await.expect("removed"));
        assert_eq!(ours(), "");
    });
}

#[test]
fn what_a_killed_daemon_left_in_the_table_is_gone_after_the_next_start() {
    as_node("elsewhere::what_a_killed_daemon_left_in_the_table_is_gone_after_the_next_start", async |root| {
        restart(root, &[tcp("", 12107, 80)]).await;
        let after = open(root, &[]).await;
        assert_eq!(ours(), "");
        assert_eq!(call("outside", format!("{NODE}:12107")), None);
        drop(after);
    });
}

/// Starts a pod and ends the daemon; returns what its successor is told of the pod.
async fn restart(root: &Path, mappings: &[PortMapping]) -> LivePod {
    let before = open(root, &[]).await;
    before.reserve_ports("a", mappings, Mapper::Gorae).await.expect("reserved");
    let ips = bridged("a", 2).to_vec();
    before.publish_at("a", &ips).await.expect("published");
    serve("a", "[::]:80");
    LivePod { pod_id: "a".into(), ips, port_mappings: mappings.to_vec(), ..LivePod::default() }
}
