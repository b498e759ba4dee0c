// SPDX-License-Identifier: Apache-2.0
//! Port forwarding over SPDY, on a connection of its own or inside a WebSocket.
//!
//! Each forwarded connection is a pair of streams with the same `requestid`: `error` and `data`. The pair is a
//! future that waits for its second stream, dials, copies, and takes itself out of the table. Any byte on an error
//! stream makes kubectl end the whole session, so only a connection that never came about is told there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::forward;
use super::inlet::{HIGH, Inlet};
use super::link::{Intake, Link};
use super::outbox::{Broken, Frame};
use super::outlet::{Outlet, SharedSession};
use super::websocket_stdio::{Farewell, UNASKED_PONG, answer_to};
use crate::Backend;
use crate::socket::Socket;
use crate::spdy::{Event, Fault, Headers, ResetReason, Session, frames};
use crate::websocket::frames as messages;
use crate::websocket::{self};

const MAX_STREAMS: usize = 2000;
/// How long a pair has to become complete.
const CREATION: Duration = Duration::from_secs(30);
/// Most bytes that wait for applications, over all streams.
const TOTAL: usize = 16 * 1024 * 1024;
/// Longest `requestid`: clients count connections with it.
const MAX_KEY: usize = 128;
/// A stream that takes nothing for so long while others starve is reset.
const STUCK: Duration = Duration::from_secs(60);

/// A stream of a pair.
struct Line {
    id: u32,
    inlet: Inlet,
    closed: CancellationToken,
}

/// The two streams of one forwarded connection.
struct Pair {
    key: String,
    port: u16,
    lines: Mutex<Lines>,
    /// Both streams are there, or the one that was is gone.
    settled: Notify,
}

#[derive(Default)]
struct Lines {
    error: Option<Arc<Line>>,
    data: Option<Arc<Line>>,
}

#[derive(Default)]
struct Table {
    pairs: HashMap<String, Arc<Pair>>,
    streams: HashMap<u32, (Arc<Line>, Arc<Pair>)>,
}

enum End {
    WebSocket(Farewell),
    Spdy(Fault),
    Cut,
}

struct Forwards<'l> {
    link: &'l Link,
    pod: &'l str,
    tunnel: bool,
    session: SharedSession,
    table: Mutex<Table>,
    end: Mutex<End>,
    started: mpsc::Sender<Arc<Pair>>,
}

/// Serves one upgraded connection to its end. `tunnel`: the SPDY bytes are the payload of binary messages.
pub(crate) async fn serve(
    stream: Socket,
    leftover: Bytes,
    link: &Link,
    pod: &str,
    tunnel: bool,
    backend: &impl Backend,
) {
    let (mut intake, mut socket) = Intake::split(stream, leftover);
    let (started, pairs) = mpsc::channel(MAX_STREAMS);
    let forwards = Forwards {
        link,
        pod,
        tunnel,
        session: Mutex::new(Session::server(MAX_STREAMS)),
        table: Mutex::default(),
        end: Mutex::new(End::Cut),
        started,
    };
    let reader = async {
        let end = forwards.read(&mut intake).await;
        *forwards.end.lock().expect("no panic under this lock") = end;
    };
    link.drive(&mut socket, reader, forwards.run(pairs, backend)).await;
    intake.close(socket, link).await;
}

impl Forwards<'_> {
    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().expect("no panic under this lock")
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no panic under this lock")
    }

    // === reader ===

    async fn read(&self, intake: &mut Intake) -> End {
        let mut decoder = messages::Decoder::server();
        let mut full = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = self.wait_for_room(&mut full) => {}
                () = intake.abandoned(self.link) => return End::Cut,
            }
            let Ok(mut input) = intake.read(self.link).await else { return End::Cut };
            if input.is_empty() {
                return End::Cut;
            }
            let result = if self.tunnel {
                self.unwrap(&mut decoder, &mut input, &mut full)
            } else {
                self.feed(input, &mut full)
            };
            if let Err(end) = result {
                return end;
            }
        }
    }

    /// Takes SPDY bytes out of messages, whose borders mean nothing.
    fn unwrap(
        &self,
        decoder: &mut messages::Decoder,
        input: &mut &mut [u8],
        full: &mut Vec<Arc<Line>>,
    ) -> Result<(), End> {
        let fault = |fault| End::WebSocket(Farewell::Fault(fault));
        while let Some(event) = decoder.next(input).map_err(fault)? {
            match event {
                messages::Event::Piece { text: true, .. } => {
                    return Err(fault(websocket::Fault { code: 1003, reason: "a text message in a tunnel" }));
                }
                messages::Event::Piece { bytes, .. } => self.feed(bytes, full)?,
                messages::Event::Ping(payload) => {
                    self.link.outbox.pong_raw(messages::frame(messages::PONG, &payload));
                }
                messages::Event::Pong => {}
                messages::Event::Close(code) => return Err(End::WebSocket(Farewell::Close(code))),
            }
        }
        Ok(())
    }

    fn feed(&self, mut input: &[u8], full: &mut Vec<Arc<Line>>) -> Result<(), End> {
        loop {
            let event = self.session().next(&mut input).map_err(End::Spdy)?;
            match event {
                Some(event) => self.handle(event, full).map_err(|Broken| End::Cut)?,
                None => return Ok(()),
            }
        }
    }

    fn handle(&self, event: Event<'_>, full: &mut Vec<Arc<Line>>) -> Result<(), Broken> {
        match event {
            Event::Opened { id, headers, fin } => self.opened(id, &headers, fin)?,
            Event::Data { id, bytes } => {
                let Some(line) = self.line(id) else { return Ok(()) };
                self.link.data_moved();
                line.inlet.push(bytes);
                if self.session().has_ended(id) {
                    line.inlet.end();
                }
                if line.inlet.queued() > HIGH && !full.iter().any(|other| other.id == id) {
                    full.push(line);
                }
            }
            Event::Finished { id } => self.line(id).iter().for_each(|line| line.inlet.end()),
            Event::Reset { id } => {
                if let Some((line, pair)) = self.table().streams.remove(&id) {
                    line.inlet.discard();
                    line.closed.cancel();
                    pair.settled.notify_one();
                }
            }
            Event::Ping { id } => self.link.outbox.pong(frames::ping(id)),
            Event::Answer(frame) => self.link.outbox.answer(frame)?,
            Event::GoAway => self.link.leaving.cancel(),
            Event::Pong { .. } | Event::Replied { .. } => {}
        }
        Ok(())
    }

    fn line(&self, id: u32) -> Option<Arc<Line>> {
        self.table().streams.get(&id).map(|(line, _)| line.clone())
    }

    /// Accepts a stream and puts it into its pair; what cannot be forwarded is reset before any reply.
    fn opened(&self, id: u32, headers: &Headers, fin: bool) -> Result<(), Broken> {
        let Some((is_data, port)) = kind_and_port(headers) else {
            return self.refuse(id, ResetReason::Cancel);
        };
        let key = headers
            .get("requestid")
            .map_or_else(|| if is_data { id.saturating_sub(2).to_string() } else { id.to_string() }, str::to_owned);
        if key.len() > MAX_KEY {
            return self.refuse(id, ResetReason::Cancel);
        }
        let mut table = self.table();
        let pair = match table.pairs.get(&key) {
            Some(pair) => pair.clone(),
            None => {
                let pair = Pair { key: key.clone(), port, lines: Mutex::default(), settled: Notify::new() };
                let pair = Arc::new(pair);
                if self.started.try_send(pair.clone()).is_err() {
                    return self.refuse(id, ResetReason::RefusedStream);
                }
                table.pairs.insert(key, pair.clone());
                pair
            }
        };
        let reply = self.session().accept(id);
        self.link.outbox.answer(reply)?;
        let line = Arc::new(Line { id, inlet: Inlet::new(&self.link.gauge), closed: CancellationToken::new() });
        if fin {
            line.inlet.end();
        }
        if !is_data {
            line.inlet.discard();
        }
        if pair.join(is_data, &line) {
            table.streams.insert(id, (line, pair));
            return Ok(());
        }
        drop(table);
        let error = pair.lines().error.clone();
        let kind = if is_data { "data" } else { "error" };
        if let Some(error) = error {
            self.outlet(&error).say(format!("request {} already has its {kind} stream", pair.key).into_bytes());
        }
        self.refuse(id, ResetReason::Cancel)
    }

    fn refuse(&self, id: u32, reason: ResetReason) -> Result<(), Broken> {
        let reset = self.session().reset(id, reason);
        reset.map_or(Ok(()), |frame| self.link.outbox.answer(frame))
    }

    /// Waits while too much is queued for applications that do not read.
    async fn wait_for_room(&self, full: &mut Vec<Arc<Line>>) {
        let mut waited = Duration::ZERO;
        let mut limit = TOTAL;
        loop {
            full.retain(|line| line.inlet.queued() > HIGH / 2);
            if full.is_empty() && self.link.gauge.queued() <= limit {
                return;
            }
            limit = TOTAL / 2;
            match timeout(UNASKED_PONG, self.link.gauge.drained()).await {
                Ok(()) => waited = Duration::ZERO,
                Err(_) => waited += UNASKED_PONG,
            }
            if self.tunnel && !waited.is_zero() {
                self.link.outbox.pong_raw(messages::frame(messages::PONG, &[]));
            }
            if waited >= STUCK {
                waited = Duration::ZERO;
                self.reset_fullest();
            }
        }
    }

    /// Gives the others a chance when one stream blocks them all; a stream that is alone may block for ever.
    fn reset_fullest(&self) {
        let table = self.table();
        if table.pairs.len() < 2 {
            return;
        }
        let fullest = table.streams.values().map(|(line, _)| line).max_by_key(|line| line.inlet.queued());
        if let Some(line) = fullest {
            line.inlet.discard();
            self.outlet(line).reset(ResetReason::Cancel);
            line.closed.cancel();
        }
    }

    // === session ===

    async fn run(&self, mut pairs: mpsc::Receiver<Arc<Pair>>, backend: &impl Backend) {
        let mut running = FuturesUnordered::new();
        let mut leaving = false;
        loop {
            tokio::select! {
                biased;
                () = self.link.gone.cancelled() => break,
                () = self.link.shutdown.cancelled() => break,
                () = self.link.idle() => break,
                Some(()) = running.next(), if !running.is_empty() => {}
                Some(pair) = pairs.recv() => running.push(self.forward(pair, backend)),
                () = self.link.leaving.cancelled(), if !leaving => leaving = true,
            }
            if leaving && running.is_empty() {
                break;
            }
        }
        drop(running);
        self.finish();
    }

    /// One forwarded connection from its first stream to its end.
    async fn forward(&self, pair: Arc<Pair>, backend: &impl Backend) {
        let settled = timeout(CREATION, pair.settled.notified()).await.is_ok();
        let (error, data) = pair.both();
        match (error, data) {
            (Some(error), Some(data)) if !error.closed.is_cancelled() && !data.closed.is_cancelled() => {
                self.connect(&pair, &error, &data, backend).await;
            }
            (error, data) => {
                if !settled && let Some(error) = &error {
                    let told = format!("error forwarding port {}: the data stream did not come in time", pair.port);
                    self.outlet(error).say(told.into_bytes());
                }
                let lines = [error, data].into_iter().flatten();
                lines.for_each(|line| self.outlet(&line).reset(ResetReason::Cancel));
            }
        }
        self.table().remove(&pair);
    }

    async fn connect(&self, pair: &Pair, error: &Line, data: &Line, backend: &impl Backend) {
        let (error, to) = (self.outlet(error), self.outlet(data));
        match forward::dial(backend, self.pod, pair.port).await {
            Err(told) => {
                error.say(told.into_bytes());
                to.reset(ResetReason::Cancel);
            }
            Ok(app) => match forward::copy(self.link, &data.inlet, &to, app).await {
                Ok(()) => to.reset(ResetReason::Cancel),
                Err(_reset_by_the_application) => to.reset(ResetReason::InternalError),
            },
        }
        data.inlet.discard();
        error.finish();
    }

    fn outlet(&self, line: &Line) -> Outlet<'_> {
        Outlet::Spdy { link: self.link, session: &self.session, id: line.id, closed: line.closed.clone() }
    }

    /// Ends the connection: resets what is open, GOAWAY, and Close when inside a WebSocket.
    fn finish(&self) {
        let end = std::mem::replace(&mut *self.end.lock().expect("no panic under this lock"), End::Cut);
        let open: Vec<_> = self.table().streams.drain().map(|(_, (line, _))| line).collect();
        open.iter().for_each(|line| self.outlet(line).reset(ResetReason::Cancel));
        let status = u32::from(matches!(end, End::Spdy(_)));
        let last = Frame::new(&[], self.session().goaway(status));
        if !self.tunnel {
            return self.link.outbox.seal(Some(last));
        }
        self.link.outbox.follow(last);
        let close = match end {
            End::WebSocket(farewell) => answer_to(farewell),
            End::Spdy(fault) => Some(messages::close(1002, &fault.to_string())),
            End::Cut => Some(messages::close(1000, "")),
        };
        self.link.outbox.seal_raw(Frame::new(&[], close.unwrap_or_default()));
    }
}

fn kind_and_port(headers: &Headers) -> Option<(bool, u16)> {
    let is_data = match headers.get("streamtype")? {
        "data" => true,
        "error" => false,
        _ => return None,
    };
    let port = headers.get("port")?;
    let decimal = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| decimal && *port > 0)?;
    Some((is_data, port))
}

impl Pair {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().expect("no panic under this lock")
    }

    fn both(&self) -> (Option<Arc<Line>>, Option<Arc<Line>>) {
        let lines = self.lines();
        (lines.error.clone(), lines.data.clone())
    }

    /// Takes a stream in; false when the pair has one of its type.
    fn join(&self, is_data: bool, line: &Arc<Line>) -> bool {
        let mut lines = self.lines();
        let place = if is_data { &mut lines.data } else { &mut lines.error };
        if place.is_some() {
            return false;
        }
        *place = Some(line.clone());
        if lines.error.is_some() && lines.data.is_some() {
            self.settled.notify_one();
        }
        true
    }
}

impl Table {
    fn remove(&mut self, pair: &Pair) {
        self.pairs.remove(&pair.key);
        let (error, data) = pair.both();
        for line in [error, data].into_iter().flatten() {
            self.streams.remove(&line.id);
        }
    }
}
