// SPDX-License-Identifier: Apache-2.0
//! Tests the node's name server: which names containers in network namespaces of their own get, and how long it lives.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;
mod pods;
mod resolver;

use driver::Shim;
use gorae_proto::shim::failure::Kind;
use gorae_proto::shim::{RemoveNameClient, ServeNames, SetNames, reply, request::Verb};
use hickory_proto::rr::RecordType::{A, AAAA, MX, PTR};
use resolver::*;
use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::time::Duration;

#[test]
fn names_aliases_and_addresses_of_the_same_network_are_answered() {
    let mut stage = Stage::new();
    let web = ["web", "app", "0123456789ab", "box"];
    let front = network(
        "my_net",
        &[
            ("1", &web, &["10.0.0.1", "fd00::1"]),
            ("2", &["web2", "app"], &["10.0.0.2"]),
            ("3", &["web3", "app"], &["10.0.0.3"]),
        ],
    );
    stage.set(vec![front, network("other", &[("4", &["secret"], &["10.9.0.4"])])], &[]);
    let [pod, stranger] = ["2", "4"].map(|id| stage.container(id));
    for name in ["web", "APP", "0123456789ab", "box", "web.my_net"] {
        assert!(ask(&pod, name, A).1.contains(&"10.0.0.1".to_owned()), "{name}");
    }
    let rows = [
        ("web", AAAA, strings(&["fd00::1"])),
        ("web2", AAAA, vec![]),
        ("web", MX, vec![]),
        ("app", A, strings(&["10.0.0.1", "10.0.0.2", "10.0.0.3"])),
        ("1.0.0.10.in-addr.arpa", PTR, strings(&["web.my_net."])),
        (&format!("1.{}d.f.ip6.arpa", "0.".repeat(29)), PTR, strings(&["web.my_net."])),
    ];
    for (name, kind, expected) in rows {
        assert_eq!(ask(&pod, name, kind), (0, expected), "{name} {kind}");
    }
    // Neither the names nor the addresses of a network are known outside of it.
    assert_eq!(ask(&pod, "secret", A), (3, vec![]));
    assert_eq!(ask(&stranger, "web", A), (3, vec![]));
    assert_eq!(ask(&stranger, "web.my_net", A), (2, vec![]));
    assert_eq!(ask(&stranger, "secret.other", A), (0, strings(&["10.9.0.4"])));
    let orders: std::collections::BTreeSet<_> =
        (0..40).map(|_| pod.inside(&["net"], || ask_here(&question("app", A, None)))[33..].to_vec()).collect();
    assert!(orders.len() > 3, "the order of addresses does not change");
}

#[test]
fn the_c_library_finds_both_families_and_the_name_of_an_address() {
    let mut stage = Stage::new();
    stage.set(vec![network("net", &[("1", &["web"], &["10.0.0.1", "fd00::1"])])], &[]);
    let pod = stage.container("1");
    // Only in the mount namespace of this test.
    let file = stage.node.dir.path().join("resolv.conf");
    std::fs::write(&file, "nameserver 127.0.0.11\noptions ndots:0\n").unwrap();
    rustix::mount::mount_bind(&file, "/etc/resolv.conf").unwrap();
    let found = |command: &str| {
        let output = pod.nsenter(&["net"], command).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let both = found("getent ahosts WEB");
    assert!(both.contains(&"10.0.0.1".to_owned()) && both.contains(&"fd00::1".to_owned()), "{both:?}");
    assert_eq!(found("getent hosts 10.0.0.1"), ["10.0.0.1", "web.net"]);
    assert_eq!(found("getent ahosts nobody; echo $?"), ["2"]);
}

#[test]
fn an_answer_that_is_too_long_is_cut_and_comes_whole_when_it_can() {
    let mut stage = Stage::new();
    let addresses: Vec<String> = (0..200).map(|n| format!("10.0.0.{n}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    stage.set(vec![network("net", &[("1", &["all"], &addresses)])], &[]);
    let pod = stage.container("1");
    let by_datagram = |size| pod.inside(&["net"], || ask_here(&question("all", A, size)));
    for (size, most, is_cut) in [(None, 512, true), (Some(1232), 1232, true), (Some(4096), 4096, false)] {
        let answer = by_datagram(size);
        assert_eq!((answer.len() <= most, answer[2] & 2 != 0), (true, is_cut), "{size:?}");
        assert_eq!(said(&answer).1.len() == 200, !is_cut);
    }
    let answer = ask_on_stream(&pod, &question("all", A, None));
    assert_eq!((said(&answer).1.len(), answer[2] & 2), (200, 0));
}

#[test]
fn it_outlives_its_daemon_and_obeys_the_next_one() {
    let mut stage = Stage::lingering(400);
    stage.set(vec![network("net", &[("1", &["web"], &["10.0.0.1"])])], &[]);
    let pod = stage.container("1");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(stage.socket()).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_link(format!("/proc/{}/cwd", stage.server.process.id())).unwrap().to_str(), Some("/"));
    // The line of a daemon that is gone: this one is connected to nothing.
    stage.server.line = driver::Line::new(UdpSocket::bind("127.0.0.1:0").unwrap().into());
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!(ask(&pod, "web", A), (0, strings(&["10.0.0.1"])));
    stage.server.line = stage.connect();
    assert_eq!(stage.counters().clients.iter().map(|client| client.container_id.as_str()).collect::<Vec<_>>(), ["1"]);
    stage.set(vec![network("net", &[("1", &["web"], &["10.0.0.7"])])], &[]);
    assert_eq!(ask(&pod, "web", A), (0, strings(&["10.0.0.7"])));
    // A second one beside it is refused.
    let mut second = Shim::spawn("serve-names", "node");
    let serve = ServeNames { state_dir: stage.node.dir.path().display().to_string(), linger_ms: 0 };
    let reply = second.line.ask(Verb::ServeNames(serve)).0;
    assert!(matches!(&reply, reply::Body::Failure(f) if f.kind() == Kind::AlreadyExists), "{reply:?}");
    second.process.wait().unwrap();
    // A wrong message changes nothing.
    let wrong = SetNames { networks: vec![network("net", &[("1", &["a..b"], &[])])], ..SetNames::default() };
    let reply = stage.server.line.ask(Verb::SetNames(wrong)).0;
    assert!(matches!(&reply, reply::Body::Failure(f) if f.kind() == Kind::InvalidArgument), "{reply:?}");
    assert_eq!(ask(&pod, "web", A).1.len(), 1);
    // Without clients and daemons it ends.
    done(&mut stage.server.line, Verb::RemoveNameClient(RemoveNameClient { container_id: "1".into() }));
    stage.server.line = driver::Line::new(UdpSocket::bind("127.0.0.1:0").unwrap().into());
    assert!(stage.server.process.wait().unwrap().success());
    assert!(!stage.socket().exists());
}

#[test]
fn a_servers_own_port_53_is_free_and_a_new_name_server_takes_over_in_place() {
    let mut stage = Stage::new();
    stage.set(vec![network("net", &[("1", &["web"], &["10.0.0.1"])])], &[]);
    let mut pod = stage.node.pod();
    pod.request.network = None;
    pod.setup();
    let port = stage.add(&pod, "1", 0);
    let _own =
        pod.inside(&["net"], || (UdpSocket::bind("0.0.0.0:53").unwrap(), TcpListener::bind("0.0.0.0:53").unwrap()));
    assert_eq!(ask(&pod, "web", A).1.len(), 1);
    // A client that keeps its port, whose connection the kernel knows.
    let kept = pod.inside(&["net"], || UdpSocket::bind("0.0.0.0:0").unwrap());
    let asks = || {
        kept.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        kept.send_to(&question("web", A, None), SERVER).unwrap();
        let mut buffer = [0; 512];
        kept.recv_from(&mut buffer).map(|(length, from)| (said(&buffer[..length]).1.len(), from.to_string()))
    };
    assert_eq!(asks().unwrap(), (1, SERVER.to_owned()));
    stage.server.process.kill().unwrap();
    stage.server.process.wait().unwrap();
    stage.server = Shim::spawn("serve-names", "node");
    let serve = ServeNames { state_dir: stage.node.dir.path().display().to_string(), linger_ms: 0 };
    done(&mut stage.server.line, Verb::ServeNames(serve));
    stage.set(vec![network("net", &[("1", &["web"], &["10.0.0.1"])])], &[]);
    assert_eq!(stage.add(&pod, "1", port), port);
    assert_eq!(asks().unwrap(), (1, SERVER.to_owned()));
    assert_eq!(said(&ask_on_stream(&pod, &question("web", A, None))).1.len(), 1);
    // While it is taken, another port does as well; the rules of before are replaced.
    let other = stage.add(&pod, "1", port);
    assert_eq!(ask(&pod, "web", A).1.len(), 1);
    let rules = pod.inside(&["net"], || Command::new("nft").args(["list", "ruleset"]).output().unwrap().stdout);
    let rules = String::from_utf8(rules).unwrap();
    assert!(other != port && rules.matches("dnat to").count() == 2 && !rules.contains(&format!(":{port}")), "{rules}");
}

#[test]
fn without_nft_the_sockets_have_the_port_themselves_and_the_reply_says_so() {
    let mut stage = Stage::new();
    stage.set(vec![network("net", &[("1", &["web"], &["10.0.0.1"])])], &[]);
    // In the mount namespace of this test: neither a program, nor one that works.
    for (instead, why) in [("/dev/null", "nft is not installed"), ("/bin/false", "nft:")] {
        rustix::mount::mount_bind(instead, "/usr/sbin/nft").unwrap();
        let mut pod = stage.node.pod();
        pod.request.network = None;
        pod.setup();
        let (opened, sockets) = open(&pod, 0);
        assert!(opened.port == 53 && opened.untranslated.starts_with(why), "{opened:?}");
        stage.hand_over("1", &sockets);
        assert_eq!(ask(&pod, "web", A), (0, strings(&["10.0.0.1"])));
    }
}
