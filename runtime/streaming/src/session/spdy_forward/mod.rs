// SPDX-License-Identifier: Apache-2.0
//! Port forwarding over SPDY, on a connection of its own or inside a WebSocket.
//!
//! Each forwarded connection is a pair of streams with the same `requestid`: `error` and `data`. The pair is a future
//! that waits for its second stream, dials, copies, and removes itself from the table. Any byte on an error stream
//! makes kubectl end the whole session, so it carries only the reason why a connection could not be made.
//!
//! - [`reader`]: from the client's frames to the queues of the streams.
//! - [`pairs`], [`streams`]: which streams exist, and which two belong together.

mod pairs;
mod reader;
mod streams;

use self::pairs::{Line, Pair};
use self::reader::{End, Reader};
use self::streams::Streams;
use super::connection::{self, Connection};
use super::forward;
use super::link::Link;
use super::outbox::Frame;
use crate::backend::Backend;
use crate::spdy::fault::ResetReason;
use crate::websocket::frames as messages;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a pair may take to become complete.
const CREATION: Duration = Duration::from_secs(30);

struct Forwards<'s> {
    streams: &'s Streams<'s>,
    pod: &'s str,
}

/// Serves one upgraded connection to its end.
pub(crate) async fn serve(connection: Connection, link: &Link, pod: &str, backend: &impl Backend) {
    let (mut intake, mut socket) = connection.split();
    let (streams, pairs) = Streams::new(link);
    let end = Mutex::new(End::Cut);
    let reader = async {
        let read = Reader::new(&streams).run(&mut intake).await;
        *end.lock().unwrap_or_else(PoisonError::into_inner) = read;
    };
    let session = async {
        Forwards { streams: &streams, pod }.run(pairs, backend).await;
        finish(&streams, std::mem::replace(&mut *end.lock().unwrap_or_else(PoisonError::into_inner), End::Cut));
    };
    connection::drive(link, &mut socket, reader, session).await;
    connection::close(link, intake, socket).await;
}

impl Forwards<'_> {
    async fn run(&self, mut pairs: mpsc::Receiver<Arc<Pair>>, backend: &impl Backend) {
        let Streams { link, .. } = self.streams;
        let mut running = FuturesUnordered::new();
        let mut leaving = false;
        while !(leaving && running.is_empty()) {
            tokio::select! {
                biased;
                () = link.gone.cancelled() => break,
                () = link.shutdown.cancelled() => break,
                () = link.idle() => break,
                Some(()) = running.next(), if !running.is_empty() => {}
                Some(pair) = pairs.recv() => running.push(self.forward(pair, backend)),
                () = link.leaving.cancelled(), if !leaving => leaving = true,
            }
        }
    }

    /// Runs one forwarded connection from its first stream to its end.
    async fn forward(&self, pair: Arc<Pair>, backend: &impl Backend) {
        let settled = timeout(CREATION, pair.settled.notified()).await.is_ok();
        match pair.both() {
            (Some(error), Some(data)) if !error.closed.is_cancelled() && !data.closed.is_cancelled() => {
                self.connect(&pair, &error, &data, backend).await;
            }
            (error, data) => {
                if !settled && let Some(error) = &error {
                    let told = format!("error forwarding port {}: the data stream did not arrive in time", pair.port);
                    self.streams.outlet(error).say(told.into_bytes());
                }
                let lines = [error, data].into_iter().flatten();
                lines.for_each(|line| self.streams.outlet(&line).reset(ResetReason::Cancel));
            }
        }
        self.streams.table().remove(&pair);
    }

    async fn connect(&self, pair: &Pair, error: &Line, data: &Line, backend: &impl Backend) {
        let (error, to) = (self.streams.outlet(error), self.streams.outlet(data));
        match forward::dial(backend, self.pod, pair.port).await {
            Err(told) => {
                error.say(told.into_bytes());
                to.reset(ResetReason::Cancel);
            }
            Ok(app) => match forward::copy(self.streams.link, &data.inlet, &to, app).await {
                Ok(()) => to.reset(ResetReason::Cancel),
                Err(_reset_by_the_application) => to.reset(ResetReason::InternalError),
            },
        }
        data.inlet.discard();
        error.finish();
    }
}

/// Ends the connection: resets what is open, GOAWAY, and Close when inside a WebSocket.
fn finish(streams: &Streams<'_>, end: End) {
    let outbox = &streams.link.outbox;
    let open: Vec<_> = streams.table().streams.drain().map(|(_, (line, _))| line).collect();
    open.iter().for_each(|line| streams.outlet(line).reset(ResetReason::Cancel));
    let status = u32::from(matches!(end, End::Spdy(_)));
    let last = Frame::new(&[], streams.session().goaway(status));
    if !outbox.is_tunnel() {
        return outbox.seal(Some(last));
    }
    outbox.follow(last);
    let close = match end {
        End::WebSocket(farewell) => farewell.answer(),
        End::Spdy(fault) => Some(messages::close(1002, &fault.to_string())),
        End::Cut => Some(messages::close(1000, "")),
    };
    outbox.seal_raw(Frame::new(&[], close.unwrap_or_default()));
}
