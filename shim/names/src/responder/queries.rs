// SPDX-License-Identifier: Apache-2.0
//! From a query to its answer, however it came.

use super::Responder;
use super::held::Back;
use crate::decide::{Outside, Transport, Verdict, decide};
use std::time::Instant;

impl Responder {
    /// Answers a message of a client, or passes it on.
    pub(super) fn answer(&mut self, number: u64, back: Back, (message, by): (&[u8], Transport), now: Instant) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        client.queries += 1;
        let own = self.upstream.own.get(&client.container);
        let outside = Outside {
            is_reached: client.view.reaches_out || own.is_some_and(|own| own.are_inside),
            // A server of the client's own may know any name.
            completes_names: self.upstream.single_labels || own.is_some(),
        };
        match decide(&self.table, &client.view, outside, (message, by), &mut self.random) {
            Verdict::Ignore => self.give(number, back, None, now),
            Verdict::Answer(answer) => {
                self.counters.answered += 1;
                self.give(number, back, Some(&answer), now);
            }
            Verdict::Relay => self.relay(number, back, (message, by), now),
        }
    }

    /// Sends an answer, or none.
    pub(super) fn give(&mut self, number: u64, back: Back, answer: Option<&[u8]>, now: Instant) {
        match (back, answer) {
            (Back::Datagram(to), Some(answer)) => self.send_datagram(number, to, answer),
            (Back::Datagram(_), None) => {}
            (Back::Stream(stream), Some(answer)) => self.send_on(stream, answer, now),
            // What comes behind a message that is not a query is not worth reading.
            (Back::Stream(stream), None) => self.close(stream),
        }
    }
}
