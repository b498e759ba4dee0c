// SPDX-License-Identifier: Apache-2.0
//! The responder: all sockets, and the table that it answers from.
//!
//! It never waits: [`Responder::turn`] does what can be done now. Who runs it waits for its descriptor, until
//! [`Responder::next_turn`] at the latest.
//!
//! ```text
//! datagrams.rs, streams.rs   queries come in, answers go out      clients.rs           who asks
//! queries.rs                 from one to the other                times.rs, sweep.rs   what has waited for too long
//! relays.rs, link.rs         questions to servers outside         held.rs              all that is held meanwhile
//! ```

mod clients;
mod datagrams;
mod held;
mod link;
mod queries;
mod relays;
mod streams;
mod sweep;
mod times;

use crate::counters::{ClientCounters, Counters};
use crate::poll::{Poll, Token};
use crate::random::Random;
use crate::table::{Network, Table};
use held::{Client, Relay, Stream};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;
use times::Times;

/// What a datagram can have at most.
const DATAGRAM: usize = 0xffff;

/// Who is asked about names outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upstream {
    /// The host's servers. They are asked in this order.
    pub servers: Vec<SocketAddr>,
    /// The servers of containers that have some of their own, by the container's id. Those of the host are never asked for
    /// them.
    pub own: HashMap<String, OwnServers>,
    /// Whether they are asked about names without a dot: only a search list can make these mean something.
    pub single_labels: bool,
}

/// The servers that a container has instead of the host's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnServers {
    /// They are asked in this order.
    pub servers: Vec<SocketAddr>,
    /// Whether they are all in the container's networks: then a container that reaches nothing outside may ask them.
    pub are_inside: bool,
}

impl Upstream {
    /// The servers that are asked for a container.
    pub fn of(&self, container: &str) -> &[SocketAddr] {
        self.own.get(container).map_or(&self.servers, |own| &own.servers)
    }
}

/// Answers the clients.
#[derive(Debug)]
pub struct Responder {
    poll: Poll,
    table: Table,
    upstream: Upstream,
    clients: HashMap<u64, Client>,
    streams: HashMap<u64, Stream>,
    relays: HashMap<u64, Relay>,
    times: Times,
    random: Random,
    buffer: Vec<u8>,
    last: u64,
    counters: Counters,
}

impl Responder {
    /// One without clients and names.
    ///
    /// # Errors
    /// The kernel's, when no descriptor is free.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            table: Table::default(),
            upstream: Upstream::default(),
            clients: HashMap::new(),
            streams: HashMap::new(),
            relays: HashMap::new(),
            times: Times::default(),
            random: Random::default(),
            buffer: vec![0; DATAGRAM],
            last: 0,
            counters: Counters::default(),
        })
    }

    /// Replaces all names at once. Questions that servers have been asked go on.
    pub fn set(&mut self, networks: Vec<Network>, upstream: Upstream) {
        self.table = Table::new(networks);
        self.upstream = upstream;
        for client in self.clients.values_mut() {
            client.view = self.table.view(&client.container);
        }
    }

    /// Does what can be done now.
    pub fn turn(&mut self) {
        let now = Instant::now();
        for token in self.poll.ready() {
            match token {
                Token::Datagrams(client) => self.read_datagrams(client, now),
                Token::Listener(client) => self.accept(client, now),
                Token::Stream(stream) => self.go_on_with(stream, now),
                Token::Relay(relay) => self.hear(relay, now),
            }
        }
        self.look_at_the_time(now);
    }

    /// What it has done, and for whom.
    pub fn counters(&self) -> Counters {
        let of = |client: &Client| ClientCounters {
            container: client.container.clone(),
            queries: client.queries,
            pauses: client.pauses,
            open: client.open as u64,
            connections: client.connections as u64,
        };
        Counters { clients: self.clients.values().map(of).collect(), ..self.counters.clone() }
    }

    /// A number that nothing else has or had.
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

impl AsFd for Responder {
    /// Readable when there is something to do.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.as_fd()
    }
}
