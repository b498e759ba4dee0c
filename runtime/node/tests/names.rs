// SPDX-License-Identifier: Apache-2.0
//! Tests the keeper of the name server with the real shim: pods in network namespaces of their own ask for names.
//!
//! `tests/run cargo test -p gorae-node --test names`, after `cargo build -p gorae-shim`.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod stage;

use gorae_node::ids::PodId;
use gorae_node::names::{MemberNames, NetworkNames, Table};
use stage::{Daemon, NOBODY_ANSWERS, Netns, Signal, Stage, upstream, within};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

fn id(digit: char) -> PodId {
    PodId::parse(&digit.to_string().repeat(64)).unwrap()
}

/// One network with these pods, each with a name and an address.
fn table(pods: &[(char, &str, [u8; 4])]) -> Table {
    let member = |&(pod, name, address): &(char, &str, [u8; 4])| MemberNames {
        pod: id(pod).to_string(),
        names: vec![name.to_owned()],
        addresses: vec![address.into()],
        rank: 0,
    };
    let members = pods.iter().map(member).collect();
    let network = NetworkNames { name: "net".into(), internal: false, subnets: Vec::new(), members };
    Table { networks: vec![network], ..Table::default() }
}

const WEB: (char, &str, [u8; 4]) = ('1', "web", [10, 0, 0, 1]);
const DB: (char, &str, [u8; 4]) = ('2', "db", [10, 0, 0, 2]);

#[test]
fn a_node_without_pods_in_user_networks_has_no_name_server() {
    let stage = Stage::new();
    stage.run(async |daemon: Daemon| {
        daemon.keeper.set(|| table(&[])).await;
        daemon.keeper.set(|| table(&[WEB])).await;
        daemon.keeper.forget(&id('1')).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(stage.server(), None);
    });
}

#[test]
fn a_pod_is_answered_from_its_first_moment_until_it_is_forgotten() {
    let stage = Stage::new();
    let [one, two] = ['1', '2'].map(|pod| stage.pod(&id(pod)));
    stage.run(async |daemon: Daemon| {
        daemon.keeper.serve(&id('1'), &one.pin).await.unwrap();
        daemon.keeper.set(|| table(&[WEB, DB])).await;
        assert_eq!(one.ask("db"), Ok([10, 0, 0, 2]));
        assert_eq!(two.ask("db"), NOBODY_ANSWERS);
        daemon.keeper.serve(&id('2'), &two.pin).await.unwrap();
        assert_eq!(two.ask("web.net"), Ok([10, 0, 0, 1]));
        daemon.keeper.set(|| table(&[('1', "www", [10, 0, 0, 9])])).await;
        assert_eq!((one.ask("www"), one.ask("web")), (Ok([10, 0, 0, 9]), Err(3)));
        daemon.keeper.forget(&id('2')).await;
        assert_eq!(two.ask("www"), NOBODY_ANSWERS);
        // Its sockets keep a namespace alive, and an interface in it. When they are closed, nothing does any more.
        one.connect_to_the_node("gn1");
        one.unpin();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(stage::is_there("gn1"));
        daemon.keeper.forget(&id('1')).await;
        within(Duration::from_secs(3), || !stage::is_there("gn1")).await;
    });
}

#[test]
fn a_name_server_that_was_killed_is_back_within_a_second_with_the_same_ports() {
    let stage = Stage::new();
    let pods: Vec<Netns> = ['1', '2'].iter().map(|&pod| stage.pod(&id(pod))).collect();
    stage.run(async |daemon: Daemon| {
        daemon.keeper.set(|| table(&[WEB, DB])).await;
        for (pod, netns) in ['1', '2'].iter().zip(&pods) {
            daemon.keeper.serve(&id(*pod), &netns.pin).await.unwrap();
        }
        // A program keeps its connected socket.
        let socket = pods[0].connected();
        assert_eq!(stage::ask_on(&socket, "db"), Ok([10, 0, 0, 2]));
        for _ in 0..2 {
            let server = stage.server().unwrap();
            stage.kill();
            let begin = Instant::now();
            within(Duration::from_secs(1), || pods[0].ask("db") == Ok([10, 0, 0, 2])).await;
            within(Duration::from_secs(1), || pods[1].ask("web") == Ok([10, 0, 0, 1])).await;
            println!("answered again after {:?}", begin.elapsed());
            assert_ne!(stage.server().unwrap(), server);
            assert_eq!(stage::ask_on(&socket, "db"), Ok([10, 0, 0, 2]));
        }
    });
}

#[test]
fn the_next_daemon_finds_the_name_server_adds_its_pods_and_removes_those_that_are_gone() {
    let stage = Stage::new();
    let [one, two, three] = ['1', '2', '3'].map(|pod| stage.pod(&id(pod)));
    stage.run(async |daemon: Daemon| {
        daemon.keeper.set(|| table(&[WEB, DB])).await;
        daemon.keeper.serve(&id('1'), &one.pin).await.unwrap();
        daemon.keeper.serve(&id('2'), &two.pin).await.unwrap();
    });
    let server = stage.server();
    assert_eq!(one.ask("db"), Ok([10, 0, 0, 2]), "it goes on without a daemon");
    stage.run_with(vec![(id('1'), one.pin.clone()), (id('3'), three.pin.clone())], async |daemon: Daemon| {
        // Until this daemon knows the names, those of the earlier one stay.
        within(Duration::from_secs(3), || two.ask("web") == NOBODY_ANSWERS).await;
        assert_eq!(one.ask("db"), Ok([10, 0, 0, 2]));
        daemon.keeper.set(|| table(&[WEB, ('3', "new", [10, 0, 0, 3])])).await;
        within(Duration::from_secs(3), || three.ask("web") == Ok([10, 0, 0, 1])).await;
        assert_eq!((one.ask("new"), one.ask("db")), (Ok([10, 0, 0, 3]), Err(3)));
        assert_eq!(stage.server(), server);
        // That of the name server itself, two of each pod, and the daemon's connection.
        within(Duration::from_secs(3), || stage.sockets_of_the_server() == 6).await;
        // What it has already stays as it is.
        daemon.keeper.serve(&id('1'), &one.pin).await.unwrap();
        assert_eq!(one.ask("new"), Ok([10, 0, 0, 3]));
    });
    // A daemon without such pods takes the rest away.
    stage.run(async |_: Daemon| {
        within(Duration::from_secs(3), || [&one, &three].iter().all(|pod| pod.ask("new") == NOBODY_ANSWERS)).await;
        // The daemon has left, too: the name server ends.
        within(Duration::from_secs(3), || stage.sockets_of_the_server() <= 1).await;
    });
    // The name server died with its daemon: the port of the last time is known all the same.
    stage.run(async |daemon: Daemon| {
        daemon.keeper.set(|| table(&[WEB, DB])).await;
        daemon.keeper.serve(&id('1'), &one.pin).await.unwrap();
    });
    let socket = one.connected();
    stage.kill();
    stage.run_with(vec![(id('1'), one.pin.clone())], async |daemon: Daemon| {
        daemon.keeper.set(|| table(&[WEB, DB])).await;
        within(Duration::from_secs(3), || one.ask("db") == Ok([10, 0, 0, 2])).await;
        assert_eq!(stage::ask_on(&socket, "db"), Ok([10, 0, 0, 2]));
    });
}

#[test]
fn the_settings_of_the_host_are_followed_and_a_pod_can_have_servers_of_its_own() {
    let stage = Stage::new();
    let [one, two] = ['1', '2'].map(|pod| stage.pod(&id(pod)));
    stage.run(async |daemon: Daemon| {
        daemon.keeper.set(|| table(&[WEB, DB])).await;
        daemon.keeper.serve(&id('1'), &one.pin).await.unwrap();
        daemon.keeper.serve(&id('2'), &two.pin).await.unwrap();
        // No file: only names of the network are known.
        assert_eq!((one.ask("a.example"), one.ask("db")), (Err(2), Ok([10, 0, 0, 2])));
        upstream("127.0.0.53:53", [192, 0, 2, 53]);
        std::fs::write(stage.resolv_conf(), "nameserver 127.0.0.53\n").unwrap();
        let begin = Instant::now();
        within(Duration::from_secs(5), || one.ask("a.example") == Ok([192, 0, 2, 53])).await;
        println!("followed after {:?}", begin.elapsed());
        assert_eq!(one.ask("single"), Err(3), "the host has no search list");
        std::fs::write(stage.resolv_conf(), "nameserver 127.0.0.53\nsearch lan\n").unwrap();
        within(Duration::from_secs(5), || one.ask("single") == Ok([192, 0, 2, 53])).await;
        upstream("127.0.0.54:53", [192, 0, 2, 54]);
        let own: SocketAddr = "127.0.0.54:53".parse().unwrap();
        daemon.keeper.set(|| Table { servers: [(id('2').to_string(), vec![own])].into(), ..table(&[WEB, DB]) }).await;
        assert_eq!((one.ask("a.example"), two.ask("a.example")), (Ok([192, 0, 2, 53]), Ok([192, 0, 2, 54])));
    });
}

#[test]
fn a_pod_whose_sockets_cannot_be_opened_is_an_error_and_holds_nobody_up() {
    let stage = Stage::new();
    let one = stage.pod(&id('1'));
    stage.run(async |daemon: Daemon| {
        daemon.keeper.set(|| table(&[WEB, DB])).await;
        let missing = stage.dir().join("missing");
        stage.make_run_dir(&id('2'));
        let error = daemon.keeper.serve(&id('2'), &missing).await.unwrap_err().to_string();
        assert!(error.contains("names of pod 2222222222222 answered") && error.contains("missing"), "{error}");
        daemon.keeper.serve(&id('1'), &one.pin).await.unwrap();
        // It is tried again by itself.
        let two = stage.pod_at(&id('2'), &missing);
        within(Duration::from_secs(3), || two.ask("web") == Ok([10, 0, 0, 1])).await;
    });
}

#[test]
fn without_nft_pods_are_answered_at_port_53_itself_until_it_is_there() {
    let stage = Stage::new();
    let one = stage.pod(&id('1'));
    // In the mount namespace of this test.
    rustix::mount::mount_bind("/dev/null", "/usr/sbin/nft").unwrap();
    stage.run(async |daemon: Daemon| {
        daemon.keeper.set(|| table(&[WEB])).await;
        daemon.keeper.serve(&id('1'), &one.pin).await.unwrap();
        assert_eq!(one.ask("web"), Ok([10, 0, 0, 1]));
        assert!(one.is_taken("0.0.0.0:53"));
        rustix::mount::unmount("/usr/sbin/nft", rustix::mount::UnmountFlags::empty()).unwrap();
        stage.kill();
        within(Duration::from_secs(1), || one.ask("web") == Ok([10, 0, 0, 1])).await;
        assert!(!one.is_taken("0.0.0.0:53"));
    });
}

#[test]
fn a_name_server_that_cannot_be_started_is_an_error_and_is_started_later() {
    let stage = Stage::without_shim();
    let one = stage.pod(&id('1'));
    stage.run(async |daemon: Daemon| {
        daemon.keeper.set(|| table(&[WEB])).await;
        let error = daemon.keeper.serve(&id('1'), &one.pin).await.unwrap_err().to_string();
        assert!(error.contains("serve-names"), "{error}");
        stage.install_shim();
        within(Duration::from_secs(5), || one.ask("web") == Ok([10, 0, 0, 1])).await;
    });
}

#[test]
fn a_name_server_that_hangs_costs_a_caller_a_few_seconds_and_is_caught_up_with() {
    let stage = Stage::new();
    let [one, two] = ['1', '2'].map(|pod| stage.pod(&id(pod)));
    stage.run(async |daemon: Daemon| {
        daemon.keeper.set(|| table(&[WEB])).await;
        daemon.keeper.serve(&id('1'), &one.pin).await.unwrap();
        stage.signal(Signal::STOP);
        let (begin, two_id) = (Instant::now(), id('2'));
        let (failed, ()) =
            tokio::join!(daemon.keeper.serve(&two_id, &two.pin), daemon.keeper.set(|| table(&[WEB, DB])));
        let took = begin.elapsed();
        assert!(failed.is_err() && took < Duration::from_secs(12), "{failed:?} after {took:?}");
        daemon.keeper.forget(&id('1')).await;
        assert!(begin.elapsed() < Duration::from_secs(18));
        stage.signal(Signal::CONT);
        within(Duration::from_secs(12), || two.ask("db") == Ok([10, 0, 0, 2])).await;
        assert_eq!(one.ask("db"), NOBODY_ANSWERS);
    });
}
