// SPDX-License-Identifier: Apache-2.0
//! Many clients at once: the bound on questions under way in all, and who pays for it.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use gorae_names::{Counters, Member, Name, Network, Responder, Upstream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

/// As many as have 1,024 questions under way, of 100 each, and one more.
const CROWD: usize = 11;

/// A question for the address of `a.b`.
const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x01b\0\0\x01\0\x01";

fn client(responder: &mut Responder, id: &str) -> UdpSocket {
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let asking = UdpSocket::bind("127.0.0.1:0").unwrap();
    asking.connect(datagrams.local_addr().unwrap()).unwrap();
    asking.set_nonblocking(true).unwrap();
    responder.add_client(id, datagrams.into(), TcpListener::bind("127.0.0.1:0").unwrap().into()).unwrap();
    asking
}

fn turn_until(responder: &mut Responder, is_reached: impl Fn(&Counters) -> bool) -> Counters {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        responder.turn();
        let counters = responder.counters();
        if is_reached(&counters) {
            return counters;
        }
        assert!(Instant::now() < end, "{counters:?}");
    }
}

fn open(counters: &Counters, id: &str) -> u64 {
    counters.clients.iter().find(|client| client.container == id).unwrap().open
}

#[test]
fn when_too_many_questions_wait_in_all_those_with_most_of_them_lose_some() {
    // Each question has a socket of its own.
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let servers: Vec<SocketAddr> = vec![silent.local_addr().unwrap()];
    let mut responder = Responder::new().unwrap();
    let ids: Vec<String> = (0..=CROWD).map(|n| n.to_string()).collect();
    let member = |id: &String| Member { container: id.clone(), names: vec![], addresses: vec![], rank: 0 };
    let members = ids.iter().map(member).collect();
    let network = Network { name: Name::from_text("net").unwrap(), is_internal: false, members };
    responder.set(vec![network], Upstream { servers, ..Upstream::default() });
    let mut clients: Vec<UdpSocket> = ids.iter().map(|id| client(&mut responder, id)).collect();
    let modest = clients.pop().unwrap();
    for client in &clients {
        (0..150).for_each(|_| assert_eq!(client.send(QUESTION).unwrap(), QUESTION.len()));
    }
    let asked = |counters: &Counters| counters.relayed + counters.refused;
    let counters =
        turn_until(&mut responder, |counters| counters.clients.iter().map(|c| c.queries).sum::<u64>() == 1650);
    assert_eq!(counters.clients.iter().map(|client| client.open).sum::<u64>(), 1024);
    assert!(counters.clients.iter().all(|client| client.open <= 100) && asked(&counters) >= 1650);
    modest.send(QUESTION).unwrap();
    let counters = turn_until(&mut responder, |counters| open(counters, "11") == 1);
    assert_eq!(counters.clients.iter().map(|client| client.open).sum::<u64>(), 1024);
    // Who has none any more has no questions either.
    ids.iter().for_each(|id| assert!(responder.remove_client(id)));
    assert!(!responder.has_clients() && !responder.remove_client("0"));
    responder.turn();
    assert_eq!(responder.next_turn(), None);
}
