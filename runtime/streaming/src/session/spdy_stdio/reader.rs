// SPDX-License-Identifier: Apache-2.0
//! Reads what the client sends.

use super::streams::{Kind, NAMES, Open, Streams};
use crate::session::inlet::HIGH;
use crate::session::intake::Intake;
use crate::session::link::Link;
use crate::session::outbox::Broken;
use crate::spdy::fault::{Fault, ResetReason};
use crate::spdy::frames;
use crate::spdy::headers::Headers;
use crate::spdy::session::Event;
use std::sync::PoisonError;
use tokio_util::sync::CancellationToken;

impl Streams {
    /// Reads until the client closes or violates the protocol.
    pub(super) async fn read(&self, link: &Link, intake: &mut Intake) -> Result<(), Fault> {
        while let Some(mut input) = intake.next(link, self.room(link)).await.map(|input| &*input) {
            while let Some(event) = self.next(&mut input)? {
                if self.handle(link, event).is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn room(&self, link: &Link) {
        if self.stdin.queued() > HIGH {
            while self.stdin.queued() > HIGH / 2 {
                link.gauge.drained().await;
            }
        }
    }

    fn next<'i>(&self, input: &mut &'i [u8]) -> Result<Option<Event<'i>>, Fault> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).next(input)
    }

    fn handle(&self, link: &Link, event: Event<'_>) -> Result<(), Broken> {
        match event {
            Event::Opened { id, headers, fin } => self.opened(link, id, &headers, fin)?,
            Event::Data { id, bytes } if self.is(Kind::Stdin, id) => {
                link.data_moved();
                self.stdin.push(bytes);
                if self.session.lock().unwrap_or_else(PoisonError::into_inner).has_ended(id) {
                    self.stdin.end();
                }
            }
            Event::Data { id, bytes } if self.is(Kind::Resize, id) => {
                link.data_moved();
                self.resize.push(bytes);
            }
            Event::Finished { id } if self.is(Kind::Stdin, id) => self.stdin.end(),
            Event::Reset { id } => {
                if self.is(Kind::Stdin, id) {
                    self.stdin.end();
                }
                let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                open.iter().flatten().filter(|open| open.id == id).for_each(|open| open.closed.cancel());
            }
            Event::Ping { id } => link.outbox.pong(frames::ping(id)),
            Event::Answer(frame) => link.outbox.answer(frame)?,
            Event::GoAway => link.leaving.cancel(),
            Event::Data { .. } | Event::Finished { .. } | Event::Pong { .. } | Event::Replied { .. } => {}
        }
        Ok(())
    }

    /// Accepts a stream at once, because clients open the next one only after the reply.
    fn opened(&self, link: &Link, id: u32, headers: &Headers, fin: bool) -> Result<(), Broken> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let name = headers.get("streamtype").unwrap_or_default();
        let Some((at, (_, kind))) = NAMES.iter().enumerate().find(|(_, (known, _))| *known == name) else {
            let reset = session.reset(id, ResetReason::ProtocolError);
            return reset.map_or(Ok(()), |frame| link.outbox.answer(frame));
        };
        link.outbox.answer(session.accept(id))?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.wanted[at] || open[at].is_some() {
            if session.finish(id) {
                link.outbox.answer(frames::data_head(id, true, 0).to_vec())?;
            }
            return Ok(());
        }
        open[at] = Some(Open { id, closed: CancellationToken::new() });
        if fin && *kind == Kind::Stdin {
            self.stdin.end();
        }
        if open.iter().zip(self.wanted).all(|(open, wanted)| open.is_some() || !wanted) {
            self.complete.notify_one();
        }
        Ok(())
    }
}
