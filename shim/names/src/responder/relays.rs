// SPDX-License-Identifier: Apache-2.0
//! Questions to the servers of the host, or to a container's own: one server after the other, until one answers.

use super::Responder;
use super::held::{Back, Relay};
use super::link::Link;
use crate::answer::failure;
use crate::decide::Transport;
use crate::poll::Token;
use crate::query::Query;
use crate::reply::{Reply, judge, with_id};
use std::time::{Duration, Instant};

/// How many questions of one client may wait.
const MAX_OPEN: usize = 100;
/// How many may wait in all. Beyond that, the client with most of them loses its oldest.
const MAX_OPEN_IN_ALL: usize = 1024;
/// How long a server has.
const PATIENCE: Duration = Duration::from_secs(4);

impl Responder {
    /// Passes a query on.
    pub(super) fn relay(&mut self, client: u64, back: Back, (message, by): (&[u8], Transport), now: Instant) {
        let open = self.clients.get(&client).map_or(0, |client| client.open);
        if open >= MAX_OPEN || (self.relays.len() >= MAX_OPEN_IN_ALL && !self.make_room_for(client, now)) {
            self.counters.refused += 1;
            return self.fail(client, back, message, now);
        }
        self.counters.relayed += 1;
        let id = message.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
        self.ask((client, back, by, id), message, 0, now);
    }

    /// Asks the first server from this one on that can be asked.
    fn ask(&mut self, of: (u64, Back, Transport, u16), message: &[u8], from: usize, now: Instant) {
        let (client, back, by, id) = of;
        let asked = with_id(message, self.random.word());
        let servers = self.clients.get(&client).map_or(&[][..], |client| self.upstream.of(&client.container));
        for (server, address) in servers.iter().enumerate().skip(from) {
            let Ok(link) = Link::open(*address, by, &asked) else {
                self.counters.failures += 1;
                continue;
            };
            self.last += 1;
            if self.poll.add(&link, Token::Relay(self.last), link.wanted()).is_err() {
                break;
            }
            let relay = Relay { client, back, by, id, asked, server, link, until: now + PATIENCE };
            self.relays.insert(self.last, relay);
            if let Some(client) = self.clients.get_mut(&client) {
                client.open += 1;
            }
            return;
        }
        self.fail(client, back, &with_id(message, id), now);
    }

    /// Hears from a server.
    pub(super) fn hear(&mut self, number: u64, now: Instant) {
        let Some(relay) = self.relays.get_mut(&number) else { return };
        match relay.link.go_on(&mut self.buffer) {
            Err(_) => self.ask_next(number, None, now),
            Ok((None, wanted)) => self.poll.change(&relay.link, Token::Relay(number), wanted),
            Ok((Some(message), _)) => match (judge(&relay.asked, &message), relay.by) {
                (Reply::Good, _) => self.deliver(number, &message, now),
                (Reply::Failed, _) => self.ask_next(number, Some(&message), now),
                // Somebody else's; the right one may still come.
                (Reply::Foreign, Transport::Datagram) => self.counters.foreign += 1,
                (Reply::Foreign, Transport::Stream) => {
                    self.counters.foreign += 1;
                    self.ask_next(number, None, now);
                }
            },
        }
    }

    /// Asks the next server. After the last one, the client gets what that said, or that nothing could be found out.
    pub(super) fn ask_next(&mut self, number: u64, said: Option<&[u8]>, now: Instant) {
        self.counters.failures += 1;
        if let (Some(relay), Some(said)) = (self.relays.get(&number), said)
            && let Some(client) = self.clients.get(&relay.client)
            && relay.server + 1 >= self.upstream.of(&client.container).len()
        {
            return self.deliver(number, said, now);
        }
        if let Some(relay) = self.end(number) {
            self.ask((relay.client, relay.back, relay.by, relay.id), &relay.asked, relay.server + 1, now);
        }
    }

    fn deliver(&mut self, number: u64, message: &[u8], now: Instant) {
        if let Some(relay) = self.end(number) {
            self.give(relay.client, relay.back, Some(&with_id(message, relay.id)), now);
        }
    }

    /// Tells a client that nothing could be found out.
    fn fail(&mut self, client: u64, back: Back, message: &[u8], now: Instant) {
        let answer = Query::read(message).ok().map(|query| failure(&query));
        self.give(client, back, answer.as_deref(), now);
    }

    /// Drops the oldest question of the client with most of them, unless that is this one.
    fn make_room_for(&mut self, number: u64, now: Instant) -> bool {
        let Some((&most, client)) = self.clients.iter().max_by_key(|(_, client)| client.open) else { return false };
        if most == number || client.open <= self.clients.get(&number).map_or(0, |client| client.open) {
            return false;
        }
        let oldest = self.relays.iter().filter(|(_, relay)| relay.client == most).min_by_key(|(_, relay)| relay.until);
        if let Some(relay) = oldest.map(|(number, _)| *number).and_then(|number| self.end(number)) {
            self.counters.refused += 1;
            self.fail(relay.client, relay.back, &with_id(&relay.asked, relay.id), now);
        }
        true
    }

    /// Drops the question of a stream.
    pub(super) fn drop_relay_of(&mut self, stream: u64) {
        let number =
            self.relays.iter().find(|(_, relay)| relay.back == Back::Stream(stream)).map(|(number, _)| *number);
        number.and_then(|number| self.end(number));
    }

    fn end(&mut self, number: u64) -> Option<Relay> {
        let relay = self.relays.remove(&number)?;
        if let Some(client) = self.clients.get_mut(&relay.client) {
            client.open -= 1;
        }
        Some(relay)
    }
}
