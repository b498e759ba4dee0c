// SPDX-License-Identifier: Apache-2.0
//! The state that the reader of a forwarding connection shares with its forwards.

use super::pairs::{Kind, Line, Pair, Table, key, kind_and_port};
use crate::session::inlet::Inlet;
use crate::session::link::Link;
use crate::session::outbox::Broken;
use crate::session::outlet::{Outlet, SharedSession};
use crate::spdy::fault::ResetReason;
use crate::spdy::headers::Headers;
use crate::spdy::session::Session;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const MAX_STREAMS: usize = 2000;
/// Longest `requestid`: clients use it to number connections.
const MAX_KEY: usize = 128;

/// The streams of one connection. Lock order is the order of the fields.
pub(super) struct Streams<'l> {
    pub(super) link: &'l Link,
    table: Mutex<Table>,
    session: SharedSession,
    started: mpsc::Sender<Arc<Pair>>,
}

impl<'l> Streams<'l> {
    /// Makes the streams of a connection, and the queue of its new pairs.
    pub(super) fn new(link: &'l Link) -> (Self, mpsc::Receiver<Arc<Pair>>) {
        let (started, pairs) = mpsc::channel(MAX_STREAMS);
        let session = Mutex::new(Session::server(MAX_STREAMS));
        (Self { link, table: Mutex::default(), session, started }, pairs)
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a stream of a pair by its id.
    pub(super) fn line(&self, id: u32) -> Option<Arc<Line>> {
        self.table().streams.get(&id).map(|(line, _)| line.clone())
    }

    /// Our side of a stream.
    pub(super) fn outlet(&self, line: &Line) -> Outlet<'_> {
        Outlet::Spdy { link: self.link, session: &self.session, id: line.id, closed: line.closed.clone() }
    }

    /// Accepts a stream and adds it to its pair; a stream that cannot be forwarded is reset before any reply.
    pub(super) fn opened(&self, id: u32, headers: &Headers, fin: bool) -> Result<(), Broken> {
        let Some((kind, port)) = kind_and_port(headers) else {
            return self.refuse(id, ResetReason::Cancel);
        };
        let key = key(headers, kind, id);
        if key.len() > MAX_KEY {
            return self.refuse(id, ResetReason::Cancel);
        }
        let mut table = self.table();
        let Some(pair) = self.pair(&mut table, key, port) else {
            return self.refuse(id, ResetReason::RefusedStream);
        };
        let reply = self.session().accept(id);
        self.link.outbox.answer(reply)?;
        let line = Arc::new(Line { id, inlet: Inlet::new(&self.link.gauge), closed: CancellationToken::new() });
        if fin {
            line.inlet.end();
        }
        if kind == Kind::Error {
            line.inlet.discard();
        }
        if pair.join(kind, &line) {
            table.streams.insert(id, (line, pair));
            return Ok(());
        }
        drop(table);
        self.refuse_second(&pair, kind, id)
    }

    /// Finds the pair of a key or makes a new one; `None` when too many new pairs are queued.
    fn pair(&self, table: &mut Table, key: String, port: u16) -> Option<Arc<Pair>> {
        if let Some(pair) = table.pairs.get(&key) {
            return Some(pair.clone());
        }
        let pair = Arc::new(Pair::new(key.clone(), port));
        self.started.try_send(pair.clone()).ok()?;
        table.pairs.insert(key, pair.clone());
        Some(pair)
    }

    /// Tells the client that a pair already has a stream of this kind.
    fn refuse_second(&self, pair: &Pair, kind: Kind, id: u32) -> Result<(), Broken> {
        if let (Some(error), _) = pair.both() {
            let told = format!("request {} already has its {} stream", pair.key, kind.name());
            self.outlet(&error).say(told.into_bytes());
        }
        self.refuse(id, ResetReason::Cancel)
    }

    fn refuse(&self, id: u32, reason: ResetReason) -> Result<(), Broken> {
        let reset = self.session().reset(id, reason);
        reset.map_or(Ok(()), |frame| self.link.outbox.answer(frame))
    }

    /// Records that the client has reset a stream.
    pub(super) fn reset(&self, id: u32) {
        if let Some((line, pair)) = self.table().streams.remove(&id) {
            line.inlet.discard();
            line.closed.cancel();
            pair.settled.notify_one();
        }
    }

    /// Resets the stream that blocks the others. A stream that is alone may block for ever.
    pub(super) fn reset_fullest(&self) {
        let table = self.table();
        if let Some(line) = table.fullest() {
            line.inlet.discard();
            self.outlet(line).reset(ResetReason::Cancel);
            line.closed.cancel();
        }
    }
}
