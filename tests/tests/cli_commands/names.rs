// SPDX-License-Identifier: Apache-2.0
//! Names of containers in networks that people made.

use crate::gorae::Gorae;
use crate::networks::{address, clear, fetch, serve};
use gorae_tests::{BUSYBOX, on_a_node, testing::soon};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::path::PathBuf;

/// The addresses that a container finds for a name.
async fn found(gorae: &Gorae, from: &str, name: &str) -> BTreeSet<String> {
    let ran = gorae.run(&["exec", from, "nslookup", name]).await;
    let answers = ran.out.split_once("\n\n").map(|(_, answers)| answers.to_owned()).unwrap_or_default();
    answers
        .lines()
        .filter_map(|line| Some(line.strip_prefix("Address")?.split(": ").nth(1)?.trim().to_owned()))
        .collect()
}

#[test]
fn a_container_is_found_by_name_alias_and_id_in_its_networks_only() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        for network in ["one", "two"] {
            gorae.ok(&["network", "create", network]).await;
        }
        serve(&gorae, "db", &["--network", "one", "--network-alias", "Store", "-h", "box"]).await;
        serve(&gorae, "b", &["--network", "one"]).await;
        serve(&gorae, "c", &["--network", "two"]).await;
        let id = gorae.ok(&["ps", "-q", "--no-trunc", "--filter", "name=db"]).await;
        let db = address(&gorae, "one", "db").await;
        for name in ["db", "DB", "store", "box", &id[..12], "db.one"] {
            assert_eq!(found(&gorae, "b", name).await, [db.clone()].into(), "{name}");
        }
        assert_eq!(fetch(&gorae, "b", "db").await.as_deref(), Some("db"));
        assert!(found(&gorae, "c", "db").await.is_empty(), "from another network");
        assert_eq!(found(&gorae, "c", "c").await.len(), 1, "which has names, too");
        let reverse = gorae.run(&["exec", "b", "nslookup", &db]).await.out;
        assert!(reverse.contains("name = db.one"), "{reverse}");
        let resolver = gorae.ok(&["exec", "b", "cat", "/etc/resolv.conf"]).await;
        assert!(resolver.contains("nameserver 127.0.0.11"), "{resolver}");
        gorae.ok(&["rm", "-f", "db"]).await;
        assert!(found(&gorae, "b", "db").await.is_empty(), "it is gone");
        assert_eq!(found(&gorae, "b", "b").await.len(), 1, "others are not");
        clear(&gorae, &["b", "c"], &["one", "two"]).await;
    });
}

#[test]
fn all_containers_with_one_alias_are_found() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "lan"]).await;
        let mut all = BTreeSet::new();
        for name in ["w1", "w2", "w3"] {
            serve(&gorae, name, &["--network", "lan", "--network-alias", "web"]).await;
            all.insert(address(&gorae, "lan", name).await);
        }
        assert_eq!(found(&gorae, "w1", "web").await, all);
        clear(&gorae, &["w1", "w2", "w3"], &["lan"]).await;
    });
}

#[test]
fn names_are_answered_while_the_daemon_is_away_and_after() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "lan"]).await;
        serve(&gorae, "a", &["--network", "lan"]).await;
        let script = "while :; do timeout 5 wget -q -O /dev/null http://a/ && echo ok || echo lost; done";
        gorae.ok(&["run", "-d", "--name", "asks", "--network", "lan", BUSYBOX, "sh", "-c", script]).await;
        for _ in 0..3 {
            node.kill_and_restart().await;
        }
        serve(&gorae, "later", &["--network", "lan"]).await;
        assert_eq!(fetch(&gorae, "asks", "later").await.as_deref(), Some("later"));
        let log = gorae.ok(&["logs", "asks"]).await;
        assert!(log.lines().count() > 20 && !log.contains("lost"), "{log}");
        clear(&gorae, &["a", "asks", "later"], &["lan"]).await;
    });
}

#[test]
fn a_name_server_that_is_killed_comes_back() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "lan"]).await;
        serve(&gorae, "a", &["--network", "lan"]).await;
        serve(&gorae, "b", &["--network", "lan"]).await;
        for _ in 0..3 {
            let server = name_servers().into_iter().next().expect("there is one");
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(server), nix::sys::signal::Signal::SIGKILL)
                .expect("killed");
            soon("the name is answered again", async || {
                (fetch(&gorae, "b", "a").await.as_deref() == Some("a")).then_some(())
            })
            .await;
        }
        assert_eq!(name_servers().len(), 1);
        clear(&gorae, &["a", "b"], &["lan"]).await;
        soon("it ends with its last container", async || name_servers().is_empty().then_some(())).await;
    });
}

#[test]
fn a_daemon_and_a_name_server_that_are_killed_together_come_back_with_all_names() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "lan"]).await;
        serve(&gorae, "a", &["--network", "lan"]).await;
        serve(&gorae, "b", &["--network", "lan"]).await;
        let server = name_servers().into_iter().next().expect("there is one");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(server), nix::sys::signal::Signal::SIGKILL).expect("killed");
        node.kill_and_restart().await;
        soon("the name is answered again", async || {
            (fetch(&gorae, "b", "a").await.as_deref() == Some("a")).then_some(())
        })
        .await;
        clear(&gorae, &["a", "b"], &["lan"]).await;
    });
}

/// The pids of name servers in these namespaces.
fn name_servers() -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").expect("mounted").flatten();
    let is_one = |pid: &i32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|b| *b == 0).nth(1) == Some(b"serve-names")
    };
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_one).collect()
}

#[test]
fn names_and_servers_of_the_users_choice_are_asked() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "lan"]).await;
        let server = UdpSocket::bind("127.0.0.77:53").expect("nobody has it");
        std::thread::spawn(move || answer_all(&server));
        let dns = ["--dns", "127.0.0.77", "--dns-search", "example"];
        let options = [&["--network", "lan", "--add-host", "printer:192.0.2.9"][..], &dns[..]].concat();
        serve(&gorae, "a", &[&options[..], &["--add-host", "node:host-gateway"]].concat()).await;
        assert_eq!(found(&gorae, "a", "far.example").await, ["192.0.2.77".to_owned()].into());
        assert_eq!(found(&gorae, "a", "a").await.len(), 1, "names of the network come first");
        let resolver = gorae.ok(&["exec", "a", "cat", "/etc/resolv.conf"]).await;
        assert!(resolver.contains("search example") && resolver.contains("nameserver 127.0.0.11"), "{resolver}");
        let hosts = gorae.ok(&["exec", "a", "cat", "/etc/hosts"]).await;
        assert!(hosts.contains("192.0.2.9\tprinter"), "{hosts}");
        let gateway =
            gorae.ok(&["exec", "a", "sh", "-c", "ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'"]).await;
        assert!(hosts.contains(&format!("{gateway}\tnode")), "{gateway}: {hosts}");
        clear(&gorae, &["a"], &["lan"]).await;
    });
}

#[test]
fn a_server_in_an_internal_network_is_asked_and_none_outside() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "--internal", "--subnet", "10.199.31.0/24", "vault"]).await;
        let server = ["run", "-d", "--name", "ns", "--network", "vault", "--ip", "10.199.31.53"];
        gorae.ok(&[&server[..], &[BUSYBOX, "sleep", "600"]].concat()).await;
        let [pin] = &gorae_tests::cni::pins()[..] else { panic!("one pod") };
        serve_names_in(pin.into(), "10.199.31.53:53");
        let outside = UdpSocket::bind("127.0.0.78:53").expect("nobody has it");
        std::thread::spawn(move || answer_all(&outside));
        serve(&gorae, "a", &["--network", "vault", "--dns", "127.0.0.78", "--dns", "10.199.31.53"]).await;
        serve(&gorae, "b", &["--network", "vault", "--dns", "127.0.0.78"]).await;
        assert_eq!(found(&gorae, "a", "far.example").await, ["192.0.2.77".to_owned()].into());
        assert!(found(&gorae, "b", "far.example").await.is_empty(), "the node is not a way out");
        clear(&gorae, &["a", "b", "ns"], &["vault"]).await;
    });
}

/// Answers in a network namespace. It exists until the test ends, unless its socket is closed.
fn serve_names_in(pin: PathBuf, address: &'static str) {
    let bind = move || {
        let namespace = std::fs::File::open(pin).expect("it is pinned");
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("it is one");
        UdpSocket::bind(address).expect("nobody has it")
    };
    let socket = std::thread::spawn(bind).join().expect("bound");
    std::thread::spawn(move || answer_all(&socket));
}

/// Says that every name has the address 192.0.2.77, and nothing else.
fn answer_all(server: &UdpSocket) {
    let mut bytes = [0; 512];
    while let Ok((length, from)) = server.recv_from(&mut bytes) {
        let question = 12 + bytes[12..].iter().position(|b| *b == 0).expect("the end of the name") + 5;
        assert!(question <= length, "a whole question");
        let is_a = bytes[question - 4..question - 2] == [0, 1];
        // The id and the question as they came; an answer; as many records as follow.
        let mut answer = [&bytes[..2], &[0x81, 0x80, 0, 1, 0, is_a.into(), 0, 0, 0, 0], &bytes[12..question]].concat();
        if is_a {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 77]);
        }
        server.send_to(&answer, from).expect("sent");
    }
}
