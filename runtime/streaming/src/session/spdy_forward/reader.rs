// SPDX-License-Identifier: Apache-2.0
//! The reader of a forwarding connection: parses bytes into frames, and delivers frames to the streams of pairs.

use super::pairs::Line;
use super::streams::Streams;
use crate::session::inlet::HIGH;
use crate::session::intake::Intake;
use crate::session::messages::UNASKED_PONG;
use crate::session::outbox::Broken;
use crate::spdy::fault::Fault;
use crate::spdy::frames;
use crate::spdy::session::Event;
use crate::websocket::farewell::Farewell;
use crate::websocket::{self, frames as messages};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The most bytes that are queued for applications, over all streams.
const TOTAL: usize = 16 * 1024 * 1024;
/// A stream that consumes nothing for this long while others starve is reset.
const STUCK: Duration = Duration::from_secs(60);

/// How the client ended the connection.
pub(super) enum End {
    /// With a Close, or by violating WebSocket.
    WebSocket(Farewell),
    /// By violating SPDY.
    Spdy(Fault),
    /// Without notice.
    Cut,
}

/// Reads one connection.
pub(super) struct Reader<'s> {
    streams: &'s Streams<'s>,
    /// Streams whose queue may be too long.
    full: Vec<Arc<Line>>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(streams: &'s Streams<'s>) -> Self {
        Self { streams, full: Vec::new() }
    }

    /// Reads until the client ends the connection.
    pub(super) async fn run(mut self, intake: &mut Intake) -> End {
        let link = self.streams.link;
        let mut tunnel = link.outbox.is_tunnel().then(messages::Decoder::server);
        while let Some(mut input) = intake.next(link, self.room()).await {
            let result = match &mut tunnel {
                None => self.feed(input),
                Some(decoder) => self.unwrap(decoder, &mut input),
            };
            if let Err(end) = result {
                return end;
            }
        }
        End::Cut
    }

    /// Extracts SPDY bytes from messages, whose boundaries mean nothing.
    fn unwrap(&mut self, decoder: &mut messages::Decoder, input: &mut &mut [u8]) -> Result<(), End> {
        let fault = |fault| End::WebSocket(Farewell::Fault(fault));
        while let Some(event) = decoder.next(input).map_err(fault)? {
            match event {
                messages::Event::Piece { text: true, .. } => {
                    return Err(fault(websocket::fault::Fault { code: 1003, reason: "a text message in a tunnel" }));
                }
                messages::Event::Piece { bytes, .. } => self.feed(bytes)?,
                messages::Event::Ping(payload) => {
                    self.streams.link.outbox.pong_raw(messages::frame(messages::PONG, &payload));
                }
                messages::Event::Pong => {}
                messages::Event::Close(code) => return Err(End::WebSocket(Farewell::Close(code))),
            }
        }
        Ok(())
    }

    fn feed(&mut self, mut input: &[u8]) -> Result<(), End> {
        loop {
            let event = self.streams.session().next(&mut input).map_err(End::Spdy)?;
            match event {
                Some(event) => self.handle(event).map_err(|Broken| End::Cut)?,
                None => return Ok(()),
            }
        }
    }

    fn handle(&mut self, event: Event<'_>) -> Result<(), Broken> {
        let Streams { link, .. } = self.streams;
        match event {
            Event::Opened { id, headers, fin } => self.streams.opened(id, &headers, fin)?,
            Event::Data { id, bytes } => self.data(id, bytes),
            Event::Finished { id } => self.streams.line(id).iter().for_each(|line| line.inlet.end()),
            Event::Reset { id } => self.streams.reset(id),
            Event::Ping { id } => link.outbox.pong(frames::ping(id)),
            Event::Answer(frame) => link.outbox.answer(frame)?,
            Event::GoAway => link.leaving.cancel(),
            Event::Pong { .. } | Event::Replied { .. } => {}
        }
        Ok(())
    }

    fn data(&mut self, id: u32, bytes: &[u8]) {
        let Some(line) = self.streams.line(id) else { return };
        self.streams.link.data_moved();
        line.inlet.push(bytes);
        if self.streams.session().has_ended(id) {
            line.inlet.end();
        }
        if line.inlet.queued() > HIGH && !self.full.iter().any(|other| other.id == id) {
            self.full.push(line);
        }
    }

    /// Waits while too much is queued for applications that do not read.
    async fn room(&mut self) {
        let link = self.streams.link;
        let mut waited = Duration::ZERO;
        let mut limit = TOTAL;
        loop {
            self.full.retain(|line| line.inlet.queued() > HIGH / 2);
            if self.full.is_empty() && link.gauge.queued() <= limit {
                return;
            }
            limit = TOTAL / 2;
            match timeout(UNASKED_PONG, link.gauge.drained()).await {
                Ok(()) => waited = Duration::ZERO,
                Err(_) => waited += UNASKED_PONG,
            }
            if link.outbox.is_tunnel() && !waited.is_zero() {
                link.outbox.pong_raw(messages::frame(messages::PONG, &[]));
            }
            if waited >= STUCK {
                waited = Duration::ZERO;
                self.streams.reset_fullest();
            }
        }
    }
}
