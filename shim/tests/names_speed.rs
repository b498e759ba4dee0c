// SPDX-License-Identifier: Apache-2.0
//! Measures the name server: how long answers take under a steady load, how many it gives at most, and its memory.
//!
//! Not part of a normal run. Build the shim with the `shim` profile, then run, as root,
//! `GORAE_SHIM=PATH tests/run cargo test -p gorae-shim --test names_speed -- --ignored --nocapture --test-threads=1`.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;
mod pods;
mod resolver;

use hickory_proto::rr::RecordType::A;
use pods::Pod;
use resolver::*;
use std::net::UdpSocket;
use std::thread::sleep;
use std::time::{Duration, Instant};

const CONTAINERS: usize = 4;
/// Names per second of each container.
const RATE: u32 = 2_500;
const SECONDS: u32 = 10;

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect(SERVER).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    socket
}

/// Asks at a steady rate, and returns how long each answer took from the moment that its question was due.
fn steady(question: &[u8]) -> Vec<Duration> {
    let (socket, begin) = (socket(), Instant::now());
    let mut answer = [0; 512];
    let once = |n: u32| {
        let due = begin + Duration::from_secs(1) / RATE * n;
        let early = due.saturating_duration_since(Instant::now());
        if !early.is_zero() {
            sleep(early);
        }
        let sent = Instant::now().max(due);
        socket.send(question).unwrap();
        socket.recv(&mut answer).expect("no answer is lost");
        sent.elapsed()
    };
    (0..RATE * SECONDS).map(once).collect()
}

/// Asks as fast as answers come, and returns how many did.
fn fast(question: &[u8]) -> usize {
    let (socket, begin) = (socket(), Instant::now());
    let mut answer = [0; 512];
    let once = || socket.send(question).and_then(|_| socket.recv(&mut answer)).is_ok();
    std::iter::repeat_with(once)
        .take_while(|_| begin.elapsed().as_secs() < 3)
        .filter(|is_answered| *is_answered)
        .count()
}

fn in_all<T: Send>(pods: &[Pod], work: impl Fn() -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = pods.iter().map(|pod| scope.spawn(|| pod.inside(&["net"], &work))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
#[ignore = "a measurement"]
fn ten_thousand_names_a_second_are_resolved_within_two_milliseconds() {
    let mut stage = Stage::new();
    let names: Vec<String> = (0..1_000).map(|n| format!("web{n}")).collect();
    let addresses: Vec<String> = (0..1_000).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
    let mut network = network("net", &[]);
    for (n, (name, address)) in names.iter().zip(&addresses).enumerate() {
        let member = gorae_proto::shim::NameMember {
            container_id: n.to_string(),
            names: vec![name.clone(), "all".into()],
            addresses: vec![address.clone()],
            rank: 0,
        };
        network.members.push(member);
    }
    stage.set(vec![network], &[]);
    let pods: Vec<Pod> = (0..CONTAINERS).map(|n| stage.container(&n.to_string())).collect();
    let question = question("web999.net", A, Some(1232));
    let before = stage.ticks();
    let mut times: Vec<Duration> = in_all(&pods, || steady(&question)).concat();
    let busy = (stage.ticks() - before) as f64 / f64::from(SECONDS);
    times.sort();
    let at = |per_mille: usize| times[(times.len() * per_mille / 1000).min(times.len() - 1)];
    println!(
        "{} answers: p50 {:?}, p99 {:?}, p99.9 {:?}, slowest {:?}; {busy:.0} % of a processor",
        times.len(),
        at(500),
        at(990),
        at(999),
        at(1000)
    );
    let most: usize = in_all(&pods, || fast(&question)).iter().sum();
    println!("at most {} names a second, of {CONTAINERS} containers that wait for each answer", most / 3);
    let status = std::fs::read_to_string(format!("/proc/{}/status", stage.server.process.id())).unwrap();
    let memory = status.lines().filter(|line| line.starts_with("RssAnon") || line.starts_with("VmRSS"));
    println!("{}", memory.collect::<Vec<_>>().join(", "));
    assert!(at(990) < Duration::from_millis(2), "p99 is {:?}", at(990));
}
