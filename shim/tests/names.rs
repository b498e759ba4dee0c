// SPDX-License-Identifier: Apache-2.0
//! Tests the node's name server with containers that ask it in network namespaces of their own.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;
mod pods;
mod resolver;

use driver::{Shim, eventually};
use gorae_proto::shim::failure::Kind;
use gorae_proto::shim::{RemoveNameClient, ServeNames, SetNames, reply, request::Verb};
use hickory_proto::rr::RecordType::{A, AAAA, MX, PTR};
use resolver::*;
use std::net::{Shutdown, TcpListener, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

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
fn everything_else_is_passed_on_unchanged_by_the_way_it_came() {
    let mut stage = Stage::new();
    let (sender, asked) = std::sync::mpsc::channel();
    let streamed = sender.clone();
    let server = upstream(move |socket, question, from| {
        sender.send((question.to_vec(), from.port())).unwrap();
        socket.send_to(&answered(question, 0, &address(1)), from).unwrap();
    });
    stream_upstream(server, move |mut stream, question| {
        streamed.send((question.clone(), stream.peer_addr().unwrap().port())).unwrap();
        // More than fits into any datagram, and nothing that we know.
        write_framed(&mut stream, &answered(&question, 0, &[7; 60_000]));
    });
    stage.set(vec![network("net", &[("1", &["web"], &["10.0.0.1"])])], &[server]);
    let pod = stage.container("1");
    let question = question("Example.org", MX, Some(4096));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let answer = pod.inside(&["net"], || ask_here(&question));
        let (passed, port) = asked.recv().unwrap();
        assert_eq!(passed[2..], question[2..]);
        assert_eq!(answer, answered(&question, 0, &address(1)));
        seen.insert((passed[..2].to_vec(), port));
    }
    let different = |f: fn(&(Vec<u8>, u16)) -> Vec<u8>| seen.iter().map(f).collect::<std::collections::BTreeSet<_>>();
    assert!(different(|(id, _)| id.clone()).len() > 6 && different(|(_, port)| port.to_be_bytes().into()).len() > 6);
    assert_eq!(ask_on_stream(&pod, &question), answered(&question, 0, &[7; 60_000]));
    assert_eq!(asked.recv().unwrap().0[2..], question[2..]);
    // A name without a dot is asked there only if the host has a search list.
    assert_eq!(ask(&pod, "example", A), (3, vec![]));
    let names = SetNames {
        networks: vec![network("net", &[("1", &[], &[])])],
        servers: vec![server.to_string()],
        single_labels: true,
    };
    done(&mut stage.server.line, Verb::SetNames(names));
    assert_eq!(ask(&pod, "example", A), (0, strings(&["192.0.2.1"])));
}

#[test]
fn the_next_server_is_asked_when_one_refuses_fails_is_dead_or_silent() {
    let mut stage = Stage::new();
    let with_code = |code: u8| {
        upstream(move |socket, question, from| {
            socket.send_to(&answered(question, code, &[]), from).unwrap();
        })
    };
    let (failing, refusing) = (with_code(2), with_code(5));
    let silent = upstream(|_, _, _| {});
    let dead = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let good = upstream(|socket, question, from| {
        socket.send_to(&answered(question, 0, &address(2)), from).unwrap();
    });
    let pod = stage.container("1");
    let member = || vec![network("net", &[("1", &["web"], &["10.0.0.1"])])];
    let rows = [
        (vec![failing, refusing, good], 0, 0),
        (vec![dead, good], 0, 0),
        (vec![silent, good], 0, 4),
        (vec![good, failing], 0, 0),
        (vec![failing, refusing], 5, 0),
        (vec![dead], 2, 0),
        (vec![silent], 2, 4),
        (vec![], 2, 0),
    ];
    for (servers, code, seconds) in rows {
        stage.set(member(), &servers);
        let begin = Instant::now();
        let expected = if code == 0 { strings(&["192.0.2.2"]) } else { vec![] };
        assert_eq!(ask(&pod, "example.org", A), (code, expected), "{servers:?}");
        assert_eq!(begin.elapsed().as_secs(), seconds, "{servers:?}");
    }
    let mut internal = member();
    internal[0].internal = true;
    stage.set(internal, &[good]);
    assert_eq!(ask(&pod, "example.org", A), (2, vec![]));
    assert_eq!(ask(&pod, "web", A), (0, strings(&["10.0.0.1"])));
}

#[test]
fn what_is_not_the_servers_answer_to_the_question_is_not_taken() {
    let mut stage = Stage::new();
    let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = upstream(move |socket, question, from| {
        // From another port, which no connected socket takes.
        elsewhere.send_to(&answered(question, 0, &address(66)), from).unwrap();
        let mut wrong_id = answered(question, 0, &address(66));
        wrong_id[0] ^= 1;
        let mut wrong_name = answered(question, 0, &address(66));
        wrong_name[13] ^= 1;
        for wrong in [wrong_id, wrong_name, question.to_vec(), question[..5].to_vec(), vec![]] {
            socket.send_to(&wrong, from).unwrap();
        }
        socket.send_to(&answered(question, 0, &address(1)), from).unwrap();
    });
    stage.set(vec![network("net", &[("1", &[], &[])])], &[server]);
    let pod = stage.container("1");
    assert_eq!(ask(&pod, "example.org", A), (0, strings(&["192.0.2.1"])));
    assert_eq!(stage.counters().foreign, 5);
}

#[test]
fn connections_that_are_cut_on_either_side_end_and_cost_nothing() {
    let mut stage = Stage::new();
    let server = upstream(|_, _, _| {});
    stream_upstream(server, |stream, question| {
        if question[13] == b'r' {
            // With unread data this is a reset.
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        } else {
            std::mem::forget(stream);
        }
    });
    stage.set(vec![network("net", &[("1", &["web"], &["10.0.0.1"])])], &[server]);
    let pod = stage.container("1");
    assert_eq!(said(&ask_on_stream(&pod, &question("reset.example", A, None))), (2, vec![]));
    pod.inside(&["net"], || {
        let mut waiting = connect_here();
        write_framed(&mut waiting, &question("silent.example", A, None));
        std::thread::sleep(Duration::from_millis(200));
        rustix::net::sockopt::set_socket_linger(&waiting, Some(Duration::ZERO)).unwrap();
        drop(waiting);
        // Closed for writing only: the answer is still wanted.
        let mut half = connect_here();
        write_framed(&mut half, &question("web", A, None));
        half.shutdown(Shutdown::Write).unwrap();
        assert_eq!(said(&read_framed(&mut half).unwrap()), (0, strings(&["10.0.0.1"])));
        assert_eq!(read_framed(&mut half), None);
        let mut wrong = connect_here();
        write_framed(&mut wrong, &[0; 5000]);
        assert_eq!(read_framed(&mut wrong), None);
    });
    eventually("nothing is open", || {
        let counters = stage.counters();
        counters.clients[0].open + counters.clients[0].connections == 0
    });
    let before = stage.ticks();
    std::thread::sleep(Duration::from_secs(1));
    assert!(stage.ticks() - before <= 2, "it does not rest");
}

#[test]
fn connections_are_bounded_in_number_and_in_time() {
    let mut stage = Stage::new();
    stage.set(vec![network("net", &[("1", &["web"], &["10.0.0.1"])])], &[]);
    let pod = stage.container("1");
    let begin = Instant::now();
    let mut idle: Vec<_> = pod.inside(&["net"], || (0..40).map(|_| connect_here()).collect());
    let answer = ask_on_stream(&pod, &question("web", A, None));
    assert_eq!(said(&answer).1.len(), 1);
    eventually("the quietest ones are closed", || stage.counters().clients[0].connections <= 16);
    assert_eq!(read_framed(&mut idle[0]), None);
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(read_framed(&mut idle[39]), None);
    assert!((9..12).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}

#[test]
fn questions_that_wait_are_bounded_for_each_container() {
    let mut stage = Stage::new();
    let server = upstream(|_, _, _| {});
    let members: &[(&str, &[&str], &[&str])] = &[("1", &["web"], &["10.0.0.1"]), ("2", &[], &[])];
    stage.set(vec![network("net", members)], &[server]);
    let [greedy, other] = ["1", "2"].map(|id| stage.container(id));
    let refused = greedy.inside(&["net"], || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect(SERVER).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let question = question("a.example", A, None);
        (0..130).for_each(|_| assert_eq!(socket.send(&question).unwrap(), question.len()));
        let mut answer = [0; 512];
        let mut refused = 0;
        while let Ok(length) = socket.recv(&mut answer) {
            assert_eq!(said(&answer[..length]).0, 2);
            refused += 1;
        }
        refused
    });
    assert_eq!(refused, 30);
    let counters = stage.counters();
    assert_eq!((counters.relayed, counters.refused), (100, 30));
    assert_eq!(ask(&other, "web", A), (0, strings(&["10.0.0.1"])));
    done(&mut stage.server.line, Verb::RemoveNameClient(RemoveNameClient { container_id: "1".into() }));
    assert_eq!(stage.counters().clients.iter().map(|client| client.open).sum::<u64>(), 0);
}

#[test]
fn a_container_that_floods_does_not_delay_the_answers_of_another() {
    let mut stage = Stage::new();
    let members: &[(&str, &[&str], &[&str])] = &[("1", &["web"], &["10.0.0.1"]), ("2", &[], &[])];
    stage.set(vec![network("net", members)], &[]);
    let [flooding, other] = ["1", "2"].map(|id| stage.container(id));
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let slowest = std::thread::scope(|scope| {
        scope.spawn(|| {
            flooding.inside(&["net"], || {
                let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
                socket.connect(SERVER).unwrap();
                let question = question("web", A, None);
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    let _ = socket.send(&question);
                }
            });
        });
        let times = other.inside(&["net"], || {
            std::thread::sleep(Duration::from_millis(300));
            let once = |_| {
                let begin = Instant::now();
                assert_eq!(said(&ask_here(&question("web", A, None))).1.len(), 1);
                begin.elapsed()
            };
            (0..200).map(once).collect::<Vec<_>>()
        });
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        times.into_iter().max().unwrap()
    });
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    assert!(stage.counters().clients.iter().any(|client| client.container_id == "1" && client.pauses > 0));
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
