// SPDX-License-Identifier: Apache-2.0
//! Host ports: from everywhere they should be reachable, refused when taken, gone when withdrawn.

use super::stage::{
    NODE, NODE6, OUTSIDE, as_node, call, inside, live, mapping, open, pod, route_loopback_of_outside_here, serve,
    serve_as, sh, take_away, tcp,
};
use gorae_network::{Network, NetworkConfig, NetworkErrorKind};
use gorae_proto::cri::Protocol;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

#[test]
fn a_host_port_answers_on_loopback_on_the_nodes_address_from_outside_and_from_pods() {
    as_node(
        "host_ports::a_host_port_answers_on_loopback_on_the_nodes_address_from_outside_and_from_pods",
        async |root| {
            let network = open(root, &[]).await;
            let plan = pod(&network, "a", &[tcp("", 12000, 80)]).await;
            pod(&network, "b", &[]).await;
            serve("a", "0.0.0.0:80");
            // Packets between pods may or may not pass through nftables, depending on the node's configuration.
            for bridge_netfilter in ["1", "0"] {
                sh(&format!("echo {bridge_netfilter} > /proc/sys/net/bridge/bridge-nf-call-iptables || true"));
                let gateway: IpAddr = plan.network.gateways[0].parse().expect("address");
                let seen = call("", "127.0.0.1:12000");
                assert!(seen.is_some_and(|ip| ip == gateway || ip.to_string() == NODE), "of the node: {seen:?}");
                assert!(call("", format!("{NODE}:12000")).is_some());
                let outside: IpAddr = OUTSIDE.parse().expect("address");
                assert_eq!(call("outside", format!("{NODE}:12000")), Some(outside), "the client's address is kept");
                for from in ["b", "a"] {
                    assert!(call(from, format!("{NODE}:12000")).is_some(), "{from} {bridge_netfilter}");
                    assert!(call(from, format!("{gateway}:12000")).is_some(), "{from} {bridge_netfilter}");
                }
            }
            take_away(&network, "a").await;
            assert_eq!(call("", "127.0.0.1:12000"), None);
            assert_eq!(call("outside", format!("{NODE}:12000")), None);
            TcpListener::bind("0.0.0.0:12000").expect("the port is free again");
        },
    );
}

#[test]
fn one_pod_has_a_port_on_every_address_and_another_one_on_one_of_them() {
    as_node("host_ports::one_pod_has_a_port_on_every_address_and_another_one_on_one_of_them", async |root| {
        let network = open(root, &[]).await;
        let mappings = [tcp("", 12007, 80), tcp("127.0.0.1", 12007, 81), tcp("0.0.0.0", 12007, 80)];
        let plan = pod(&network, "a", &mappings).await;
        serve("a", "0.0.0.0:80");
        serve_as("a", "0.0.0.0:81", "192.0.2.81");
        let asked = async || {
            assert_eq!(call("", "127.0.0.1:12007"), Some([192, 0, 2, 81].into()));
            assert_eq!(call("outside", format!("{NODE}:12007")), Some(OUTSIDE.parse().expect("address")));
        };
        asked().await;
        let before = sh(&format!("nft -s list table inet {}", plan.network.bridge));
        drop(network);
        let network = open(root, &[live("a", &plan, &mappings)]).await;
        assert_eq!(sh(&format!("nft -s list table inet {}", plan.network.bridge)), before);
        asked().await;
        take_away(&network, "a").await;
        assert!(!sh(&format!("nft list table inet {}", plan.network.bridge)).contains("12007"));
        TcpListener::bind("0.0.0.0:12007").expect("the port is free again");
    });
}

#[test]
fn a_host_port_on_one_address_answers_only_there() {
    as_node("host_ports::a_host_port_on_one_address_answers_only_there", async |root| {
        let network = open(root, &[]).await;
        pod(&network, "a", &[tcp("127.0.0.1", 12001, 80)]).await;
        pod(&network, "b", &[tcp(NODE, 12001, 80)]).await;
        serve("a", "0.0.0.0:80");
        assert!(call("", "127.0.0.1:12001").is_some());
        assert_eq!(call("outside", format!("{NODE}:12001")), None, "b does not listen");
        serve("b", "0.0.0.0:80");
        assert!(call("outside", format!("{NODE}:12001")).is_some());
        take_away(&network, "b").await;
        assert_eq!(call("outside", format!("{NODE}:12001")), None);
        assert!(call("", "127.0.0.1:12001").is_some());
    });
}

#[test]
fn a_neighbour_that_routes_loopback_addresses_here_finds_no_host_port_behind_them() {
    as_node(
        "host_ports::a_neighbour_that_routes_loopback_addresses_here_finds_no_host_port_behind_them",
        async |root| {
            let config = NetworkConfig { subnet6: Some("fd00:64::/64".parse().expect("net")), ..Default::default() };
            let network = Network::open(config, root, &[]).await.expect("network");
            pod(&network, "a", &[tcp("127.0.0.1", 12030, 80), tcp("", 12031, 80), tcp("::1", 12032, 80)]).await;
            serve("a", "[::]:80");
            assert!(call("outside", format!("{NODE}:12031")).is_some(), "the way is open");
            route_loopback_of_outside_here();
            // A node whose own check is off, as kube-proxy leaves it, and one with the kernel's default.
            for route_localnet in ["1", "0"] {
                sh(&format!("echo {route_localnet} > /proc/sys/net/ipv4/conf/all/route_localnet"));
                for place in ["127.0.0.1:12030", "127.0.0.1:12031", "127.1.2.3:12031", "[::1]:12032", "[::1]:12031"] {
                    assert_eq!(call("outside", place), None, "{place} with route_localnet {route_localnet}");
                }
            }
            for place in ["127.0.0.1:12030", "127.0.0.1:12031", "127.1.2.3:12031"] {
                assert!(call("", place).is_some(), "{place} on the node itself");
            }
        },
    );
}

#[test]
fn an_sctp_port_is_mapped_and_is_one_pods_alone() {
    as_node("host_ports::an_sctp_port_is_mapped_and_is_one_pods_alone", async |root| {
        let sctp = |ip| mapping(Protocol::Sctp, ip, 12033, 9999);
        let network = open(root, &[]).await;
        let plan = pod(&network, "first", &[sctp("")]).await;
        let table = sh(&format!("nft list table inet {}", plan.network.bridge));
        assert!(table.contains(&format!("sctp . 12033 : {} . 9999", plan.ips[0])), "{table}");
        let error = network.prepare("second", &[sctp("127.0.0.1")]).await.expect_err("taken");
        assert_eq!(error.to_string(), "host port 127.0.0.1:12033/sctp is taken by pod first");
        assert_eq!(error.kind(), NetworkErrorKind::AlreadyExists);
        pod(&network, "third", &[tcp("", 12033, 80)]).await;
        take_away(&network, "first").await;
        network.prepare("second", &[sctp("127.0.0.1")]).await.expect("free");
        // /proc/modules exists only on a kernel with modules; on others SCTP is built in or absent, and nothing loads
        // it.
        let modules = std::fs::read_to_string("/proc/modules").unwrap_or_default();
        assert!(!modules.lines().any(|module| module.starts_with("sctp ")), "{modules}");
    });
}

#[test]
fn a_taken_port_is_refused_with_the_name_of_who_has_it() {
    as_node("host_ports::a_taken_port_is_refused_with_the_name_of_who_has_it", async |root| {
        let network = open(root, &[]).await;
        network.prepare("first", &[tcp("", 12002, 80)]).await.expect("free");
        let error = network.prepare("second", &[tcp("127.0.0.1", 12002, 80)]).await.expect_err("taken");
        assert_eq!(error.to_string(), "host port 127.0.0.1:12002/tcp is taken by pod first");
        assert_eq!(error.kind(), NetworkErrorKind::AlreadyExists);
        let server = TcpListener::bind("127.0.0.1:12003").expect("free");
        let error = network.prepare("second", &[tcp("", 12003, 80)]).await.expect_err("taken").to_string();
        let me = format!("is taken by process {} (", std::process::id());
        assert!(error.starts_with("host port 0.0.0.0:12003/tcp") && error.contains(&me), "{error}");
        drop(server);
        assert!(TcpListener::bind("0.0.0.0:12002").is_err(), "a process cannot take a pod's port");
        network.prepare("second", &[mapping(Protocol::Udp, "", 12002, 80)]).await.expect("udp is another port");
        assert_eq!(network.count(), (2, 2));
        let bad = network.prepare("third", &[tcp("fd00::1", 12004, 80)]).await.expect_err("no IPv6 pod");
        assert_eq!(bad.kind(), NetworkErrorKind::InvalidArgument);
        assert_eq!(network.count(), (2, 2));
    });
}

#[test]
fn a_udp_client_that_keeps_sending_finds_the_pod_when_it_comes_and_no_more_when_it_goes() {
    as_node(
        "host_ports::a_udp_client_that_keeps_sending_finds_the_pod_when_it_comes_and_no_more_when_it_goes",
        async |root| {
            let config = NetworkConfig { subnet6: Some("fd00:64::/64".parse().expect("net")), ..Default::default() };
            let network = Network::open(config, root, &[]).await.expect("network");
            network.prepare("warm", &[]).await.expect("the table is there, so flows are tracked");
            keeps_sending(&network, "four", "0.0.0.0:5000", format!("{NODE}:12005")).await;
            keeps_sending(&network, "six", "[::]:5000", format!("[{NODE6}]:12005")).await;
        },
    );
}

/// Sends from one socket outside before, while and after a pod has the host port.
async fn keeps_sending(network: &Network, id: &str, from: &'static str, to: String) {
    let client = inside("outside", move || UdpSocket::bind(from).expect("free port"));
    client.set_read_timeout(Some(Duration::from_secs(2))).expect("set");
    client.send_to(b"anyone?", &to).expect("sent");
    std::thread::sleep(Duration::from_millis(50));
    pod(network, id, &[mapping(Protocol::Udp, "", 12005, 53)]).await;
    let server = inside(id, || UdpSocket::bind("[::]:53").expect("free port"));
    server.set_read_timeout(Some(Duration::from_secs(1))).expect("set");
    client.send_to(b"anyone now?", &to).expect("sent");
    let mut buffer = [0; 64];
    let (length, peer) = server.recv_from(&mut buffer).expect("it arrives in the pod");
    assert_eq!((&buffer[..length], peer.port()), (&b"anyone now?"[..], 5000));
    server.send_to(b"here", peer).expect("sent");
    let (length, answered) = client.recv_from(&mut buffer).expect("the answer");
    assert_eq!((&buffer[..length], answered.to_string()), (&b"here"[..], to.clone()));
    network.withdraw(id).await.expect("withdrawn");
    client.send_to(b"still there?", &to).expect("sent");
    assert!(server.recv_from(&mut buffer).is_err(), "the flow is forgotten with the rule");
    sh(&format!("ip netns del {id}"));
    network.release(id);
}

#[test]
fn a_client_of_the_ipv6_loopback_is_refused_at_once() {
    as_node("host_ports::a_client_of_the_ipv6_loopback_is_refused_at_once", async |root| {
        let config = NetworkConfig { subnet6: Some("fd00:64::/64".parse().expect("net")), ..Default::default() };
        let network = Network::open(config, root, &[]).await.expect("network");
        pod(&network, "a", &[tcp("", 12034, 80)]).await;
        serve("a", "[::]:80");
        let begun = Instant::now();
        let refused = TcpStream::connect("[::1]:12034").expect_err("no translation leads there");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
        // So a client that tries every address of "localhost" gets there.
        let both: [SocketAddr; 2] = ["[::1]:12034", "127.0.0.1:12034"].map(|place| place.parse().expect("address"));
        TcpStream::connect(&both[..]).expect("the second one");
    });
}

#[test]
fn a_ruleset_that_somebody_flushed_is_whole_again_at_the_next_host_port() {
    as_node("host_ports::a_ruleset_that_somebody_flushed_is_whole_again_at_the_next_host_port", async |root| {
        let network = open(root, &[]).await;
        pod(&network, "a", &[tcp("", 12006, 80)]).await;
        serve("a", "0.0.0.0:80");
        sh("nft flush ruleset");
        assert_eq!(call("", "127.0.0.1:12006"), None);
        pod(&network, "b", &[tcp("", 12007, 80)]).await;
        assert!(call("", "127.0.0.1:12006").is_some());
        sh("nft flush ruleset");
        take_away(&network, "b").await;
        assert!(call("", "127.0.0.1:12006").is_some());
    });
}

#[test]
fn a_nft_that_hangs_is_waited_for_once() {
    as_node("host_ports::a_nft_that_hangs_is_waited_for_once", async |root| {
        let network = open(root, &[]).await;
        pod(&network, "a", &[tcp("", 12035, 80)]).await;
        serve("a", "0.0.0.0:80");
        sh("printf '#!/bin/sh\nexec sleep 100\n' >/run/nft && chmod +x /run/nft
            for dir in /usr/sbin /sbin /usr/local/sbin /usr/bin; do
              if [ -f $dir/nft ]; then mount --bind /run/nft $dir/nft; fi; done");
        let begun = Instant::now();
        let error = network.withdraw("a").await.expect_err("no answer");
        assert_eq!(error.kind(), NetworkErrorKind::DeadlineExceeded);
        assert!(begun.elapsed() < Duration::from_secs(14), "{:?}", begun.elapsed());
        assert!(network.degraded().is_some_and(|told| told.message.contains("did not finish")));
        sh(
            "for dir in /usr/sbin /sbin /usr/local/sbin /usr/bin; do while umount $dir/nft 2>/dev/null; do :; done; done",
        );
        take_away(&network, "a").await;
        assert_eq!((call("", "127.0.0.1:12035"), network.degraded()), (None, None));
    });
}

#[test]
fn without_nft_plain_pods_work_and_host_ports_are_refused_with_the_remedy() {
    as_node("host_ports::without_nft_plain_pods_work_and_host_ports_are_refused_with_the_remedy", async |root| {
        sh("for dir in /usr/sbin /sbin /usr/local/sbin /usr/bin; do
              if [ -f $dir/nft ]; then mount --bind /dev/null $dir/nft; fi; done");
        let network = open(root, &[]).await;
        pod(&network, "a", &[]).await;
        let b = pod(&network, "b", &[]).await;
        serve("b", "0.0.0.0:80");
        assert!(call("a", format!("{}:80", b.ips[0])).is_some());
        assert_eq!(network.status(), Ok(()));
        let reason = network.degraded().expect("a reason");
        assert!(reason.message.contains("nft is not installed"), "{reason:?}");
        let error = network.prepare("c", &[tcp("", 12008, 80)]).await.expect_err("refused");
        assert_eq!(error.kind(), NetworkErrorKind::FailedPrecondition);
        assert!(error.to_string().contains("nftables"), "{error}");
        assert_eq!(network.count(), (2, 0));
    });
}
