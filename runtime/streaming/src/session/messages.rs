// SPDX-License-Identifier: Apache-2.0
//! The parts that both kinds of WebSocket session share: the loop that reads messages, and the Close at the end.

use super::inlet::HIGH;
use super::intake::Intake;
use super::link::Link;
use super::outbox::Frame;
use crate::websocket::channels::{Channels, Input};
use crate::websocket::farewell::Farewell;
use crate::websocket::fault::Fault;
use crate::websocket::frames::{self, Decoder, Event};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// The interval of unsolicited pongs. While the socket is not read, pings go unanswered, and clients give up after 60 s
/// without a pong.
pub(super) const UNASKED_PONG: Duration = Duration::from_secs(15);

/// The messages of one connection, and how its client ended it.
#[derive(Debug)]
pub(super) struct Messages<'l> {
    link: &'l Link,
    farewell: Mutex<Farewell>,
}

impl<'l> Messages<'l> {
    /// Starts reading the upgraded connection of `link`.
    pub(super) fn new(link: &'l Link) -> Self {
        Self { link, farewell: Mutex::new(Farewell::Cut) }
    }

    fn farewell(&self) -> Farewell {
        *self.farewell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client's protocol violation, if that is how it ended the connection.
    pub(super) fn fault(&self) -> Option<Fault> {
        match self.farewell() {
            Farewell::Fault(fault) => Some(fault),
            Farewell::Close(_) | Farewell::Cut => None,
        }
    }

    /// Reads and delivers messages until the client ends the connection.
    ///
    /// `queued` returns how many bytes wait for the slowest consumer; while they are too many, the socket is not read.
    pub(super) async fn pump(
        &self,
        intake: &mut Intake,
        mut channels: Channels,
        queued: impl Fn() -> usize,
        deliver: impl Fn(Input<'_>),
    ) {
        let mut decoder = Decoder::server();
        while let Some(mut input) = intake.next(self.link, self.room(&queued)).await {
            if let Some(farewell) = self.read(&mut decoder, &mut channels, &mut input, &deliver) {
                *self.farewell.lock().unwrap_or_else(PoisonError::into_inner) = farewell;
                return;
            }
        }
    }

    /// Delivers the messages in `input`. Returns how the client ended the connection, if it did.
    fn read(
        &self,
        decoder: &mut Decoder,
        channels: &mut Channels,
        input: &mut &mut [u8],
        deliver: &impl Fn(Input<'_>),
    ) -> Option<Farewell> {
        loop {
            let event = match decoder.next(input) {
                Ok(Some(event)) => event,
                Ok(None) => return None,
                Err(fault) => return Some(Farewell::Fault(fault)),
            };
            match &event {
                Event::Ping(payload) => self.link.outbox.pong(frames::frame(frames::PONG, payload)),
                Event::Close(code) => return Some(Farewell::Close(*code)),
                Event::Piece { .. } | Event::Pong => {}
            }
            if let Err(fault) = channels.piece(&event, deliver) {
                return Some(Farewell::Fault(fault));
            }
        }
    }

    /// Waits while too much is queued. The client's pings stay unread meanwhile, so unsolicited pongs are sent.
    async fn room(&self, queued: impl Fn() -> usize) {
        if queued() <= HIGH {
            return;
        }
        let mut pongs = interval(UNASKED_PONG);
        pongs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while queued() > HIGH / 2 {
            tokio::select! {
                () = self.link.gauge.drained() => {}
                _ = pongs.tick() => self.link.outbox.pong(frames::frame(frames::PONG, &[])),
            }
        }
    }

    /// Ends the connection with Close, and waits for the client's Close unless it has already arrived.
    pub(super) async fn close(&self) {
        if !self.link.gone.is_cancelled() {
            self.link.outbox.seal_raw(Frame::new(&[], frames::close(1000, "")));
            return self.link.linger().await;
        }
        self.link.outbox.seal(self.farewell().answer().map(|frame| Frame::new(&[], frame)));
    }
}
