// SPDX-License-Identifier: Apache-2.0
//! Tests what the name server passes on to servers of the host or of a container, which answer well, badly, or not at all.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;
mod pods;
mod resolver;

use gorae_proto::shim::{NameServers, SetNames, request::Verb};
use hickory_proto::rr::RecordType::{A, MX};
use resolver::*;
use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

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
        own_servers: vec![],
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
        let took = begin.elapsed().as_secs();
        assert!((seconds..seconds + 3).contains(&took), "{servers:?}: {took} s");
    }
    let mut internal = member();
    internal[0].internal = true;
    stage.set(internal, &[good]);
    assert_eq!(ask(&pod, "example.org", A), (2, vec![]));
    assert_eq!(ask(&pod, "web", A), (0, strings(&["10.0.0.1"])));
}

#[test]
fn a_container_with_servers_of_its_own_asks_these_alone() {
    let mut stage = Stage::new();
    let [hosts, own] = [1, 2].map(|n| {
        upstream(move |socket, question, from| {
            socket.send_to(&answered(question, 0, &address(n)), from).unwrap();
        })
    });
    let dead = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let networks = || vec![network("net", &[("1", &["web"], &["10.0.0.1"]), ("2", &["db"], &["10.0.0.2"])])];
    let set = |stage: &mut Stage, of_1: &[SocketAddr]| {
        let texts = of_1.iter().map(ToString::to_string).collect();
        let own = NameServers { container_id: "1".into(), servers: texts, inside: false };
        let own_servers = if of_1.is_empty() { vec![] } else { vec![own] };
        let servers = vec![hosts.to_string()];
        let names = SetNames { networks: networks(), servers, own_servers, single_labels: false };
        done(&mut stage.server.line, Verb::SetNames(names));
    };
    // Its servers are told before it is a client.
    set(&mut stage, &[dead, own]);
    let [with, without] = ["1", "2"].map(|id| stage.container(id));
    assert_eq!(ask(&with, "example.org", A), (0, strings(&["192.0.2.2"])));
    assert_eq!(ask(&without, "example.org", A), (0, strings(&["192.0.2.1"])));
    assert_eq!(ask(&with, "db", A), (0, strings(&["10.0.0.2"])));
    // The host's are not asked in their place.
    set(&mut stage, &[dead]);
    assert_eq!(ask(&with, "example.org", A), (2, vec![]));
    set(&mut stage, &[]);
    assert_eq!(ask(&with, "example.org", A), (0, strings(&["192.0.2.1"])));
}

#[test]
fn a_container_without_a_way_out_asks_only_servers_in_its_networks() {
    let mut stage = Stage::new();
    let own = upstream(|socket, question, from| {
        socket.send_to(&answered(question, 0, &address(1)), from).unwrap();
    });
    let pod = stage.container("1");
    for (inside, expected) in [(false, (2, vec![])), (true, (0, strings(&["192.0.2.1"])))] {
        let mut network = network("net", &[("1", &["web"], &["10.0.0.1"])]);
        network.internal = true;
        let own_servers = vec![NameServers { container_id: "1".into(), servers: vec![own.to_string()], inside }];
        let names = SetNames { networks: vec![network], own_servers, ..SetNames::default() };
        done(&mut stage.server.line, Verb::SetNames(names));
        assert_eq!(ask(&pod, "example.org", A), expected, "{inside}");
    }
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
