// SPDX-License-Identifier: Apache-2.0
//! Tests what containers that ask too much, or cut their connections, can make the name server do.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;
mod pods;
mod resolver;

use driver::eventually;
use gorae_proto::shim::{RemoveNameClient, request::Verb};
use hickory_proto::rr::RecordType::A;
use resolver::*;
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

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

fn send_a_hundred() {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect(SERVER).unwrap();
    let question = question("web", A, None);
    (0..100).for_each(|_| assert!(socket.send(&question).is_ok()));
}

fn connect_once() {
    let _ = TcpStream::connect_timeout(&SERVER.parse().unwrap(), Duration::from_millis(100));
}

#[test]
fn a_container_that_floods_does_not_delay_the_answers_of_another() {
    let mut stage = Stage::new();
    let members: &[(&str, &[&str], &[&str])] = &[("1", &["web"], &["10.0.0.1"]), ("2", &[], &[])];
    stage.set(vec![network("net", members)], &[]);
    let [flooding, other] = ["1", "2"].map(|id| stage.container(id));
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let mut times = std::thread::scope(|scope| {
        let flood = |once: fn()| {
            flooding.inside(&["net"], || {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    once();
                }
            });
        };
        scope.spawn(move || flood(send_a_hundred));
        scope.spawn(move || flood(connect_once));
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
        times
    });
    times.sort_unstable();
    // Two threads spin beside it: on two processors, a few of the questions wait for these.
    assert!(times[189] < Duration::from_millis(500), "{times:?}");
    assert!(stage.counters().clients.iter().any(|client| client.container_id == "1" && client.pauses > 0));
}
