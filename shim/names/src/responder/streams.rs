// SPDX-License-Identifier: Apache-2.0
//! Queries and answers on connections. One has one query under way at a time; what it sends meanwhile is not read.

use super::Responder;
use super::held::{Back, Doing, Stream};
use crate::decide::Transport;
use crate::framed::Framed;
use crate::poll::{Token, Wanted};
use crate::query::MAX_QUERY;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// The most connections of one client. Another one takes the place of that which has been quiet for the longest time.
const MAX_STREAMS: usize = 16;
/// How long a query may take to arrive, and its answer to be taken.
const QUIET: Duration = Duration::from_secs(10);

impl Responder {
    /// Accepts a client's connections.
    pub(super) fn accept(&mut self, number: u64, now: Instant) {
        for _ in 0..MAX_STREAMS {
            let Some(client) = self.clients.get_mut(&number) else { return };
            let accepted = match client.bucket.has_one(now) {
                true => client.listener.accept(),
                false => Err(ErrorKind::QuotaExceeded.into()),
            };
            let socket = match accepted {
                Ok((socket, _)) => socket,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionAborted) => return,
                // Too many, or no descriptor is free: it would be reported again at once, and for ever.
                Err(_) => {
                    client.pauses += 1;
                    self.poll.change(&client.listener, Token::Listener(number), Wanted::Nothing);
                    return self.times.mute(number);
                }
            };
            client.bucket.take(now);
            if client.connections >= MAX_STREAMS {
                self.close_quietest(number);
            }
            // A connection that cannot be watched is closed; its client tries again.
            let _ = self.admit(number, socket, now);
        }
    }

    fn admit(&mut self, client: u64, socket: std::net::TcpStream, now: Instant) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        let number = self.number();
        self.poll.add(&socket, Token::Stream(number), Wanted::Input)?;
        let framed = Framed::new(socket, MAX_QUERY);
        self.streams.insert(number, Stream { client, framed, doing: Doing::Reading, until: now + QUIET });
        if let Some(client) = self.clients.get_mut(&client) {
            client.connections += 1;
        }
        Ok(())
    }

    fn close_quietest(&mut self, client: u64) {
        let own = self.streams.iter().filter(|(_, stream)| stream.client == client);
        if let Some(number) = own.min_by_key(|(_, stream)| stream.until).map(|(number, _)| *number) {
            self.close(number);
        }
    }

    /// Reads or writes, whichever a connection waits for.
    pub(super) fn go_on_with(&mut self, number: u64, now: Instant) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        match stream.doing {
            Doing::Reading => match stream.framed.receive() {
                Ok(Some(query)) => self.take_query(number, &query, now),
                Ok(None) => {}
                Err(_) => self.close(number),
            },
            Doing::Writing => self.write(number, now),
            // Only an error is reported then: nobody waits for the answer any more.
            Doing::Waiting => self.close(number),
        }
    }

    fn take_query(&mut self, number: u64, query: &[u8], now: Instant) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        stream.doing = Doing::Waiting;
        self.poll.change(&stream.framed, Token::Stream(number), Wanted::Nothing);
        let client = stream.client;
        let bucket = self.clients.get_mut(&client).map(|client| &mut client.bucket);
        match bucket.filter(|bucket| bucket.has_one(now)) {
            Some(bucket) => bucket.take(now),
            None => return self.close(number),
        }
        self.answer(client, Back::Stream(number), (query, Transport::Stream), now);
    }

    /// Sends an answer to the query that was read last.
    pub(super) fn send_on(&mut self, number: u64, answer: &[u8], now: Instant) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        stream.framed.queue(answer);
        stream.until = now + QUIET;
        stream.doing = Doing::Writing;
        self.write(number, now);
    }

    fn write(&mut self, number: u64, now: Instant) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        let wanted = match stream.framed.flush() {
            Ok(true) => {
                stream.doing = Doing::Reading;
                stream.until = now + QUIET;
                Wanted::Input
            }
            Ok(false) => Wanted::Room,
            Err(_) => return self.close(number),
        };
        self.poll.change(&stream.framed, Token::Stream(number), wanted);
    }

    /// Closes a connection, and drops the question that it waits for.
    pub(super) fn close(&mut self, number: u64) {
        let Some(stream) = self.streams.remove(&number) else { return };
        if let Some(client) = self.clients.get_mut(&stream.client) {
            client.connections -= 1;
        }
        if stream.doing == Doing::Waiting {
            self.drop_relay_of(number);
        }
    }

    /// Whether the time of a connection is over. A question to a server has a time of its own.
    pub(super) fn is_late(stream: &Stream, now: Instant) -> bool {
        stream.doing != Doing::Waiting && stream.until <= now
    }

    /// Accepts a client's connections again.
    pub(super) fn listen_again(&mut self, number: u64) {
        if let Some(client) = self.clients.get(&number) {
            self.poll.change(&client.listener, Token::Listener(number), Wanted::Input);
        }
    }
}
