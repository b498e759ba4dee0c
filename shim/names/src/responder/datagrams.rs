// SPDX-License-Identifier: Apache-2.0
//! Queries and answers in datagrams.

use super::Responder;
use super::held::Back;
use crate::decide::Transport;
use crate::poll::{Token, Wanted};
use std::net::SocketAddr;
use std::time::Instant;

/// The most that one client is read from before the others have their turn.
const AT_ONCE: usize = 32;

impl Responder {
    /// Answers what a client has sent. One that has sent too much is left alone for a moment.
    pub(super) fn read_datagrams(&mut self, number: u64, now: Instant) {
        let mut buffer = std::mem::take(&mut self.buffer);
        for _ in 0..AT_ONCE {
            let Some(client) = self.clients.get_mut(&number) else { break };
            if !client.bucket.has_one(now) {
                client.pauses += 1;
                self.poll.change(&client.datagrams, Token::Datagrams(number), Wanted::Nothing);
                self.times.pause(number, now);
                break;
            }
            let Ok((length, from)) = client.datagrams.recv_from(&mut buffer) else { break };
            client.bucket.take(now);
            self.answer(number, Back::Datagram(from), (&buffer[..length], Transport::Datagram), now);
        }
        self.buffer = buffer;
    }

    /// Reads from a client again.
    pub(super) fn resume(&mut self, number: u64) {
        if let Some(client) = self.clients.get(&number) {
            self.poll.change(&client.datagrams, Token::Datagrams(number), Wanted::Input);
        }
    }

    /// Sends an answer. One that the client's socket has no room for is lost, as datagrams may be.
    pub(super) fn send_datagram(&mut self, number: u64, to: SocketAddr, answer: &[u8]) {
        if let Some(client) = self.clients.get(&number) {
            let _ = client.datagrams.send_to(answer, to);
        }
    }
}
