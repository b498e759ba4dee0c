// SPDX-License-Identifier: Apache-2.0
//! Exec and attach over SPDY: each stream of the process is a stream of the connection, named by its header.
//!
//! ```text
//! client                          server
//! SYN_STREAM streamtype=error ──►  SYN_REPLY, and so on for each; 30 s for all of them
//!                                  the process starts when the set is complete
//! DATA, FIN on stdin, resize  ──►
//!                             ◄──  DATA on stdout, stderr
//!                             ◄──  FIN stdout, FIN stderr, status and FIN on error, RST stdin and resize
//! closes, or GOAWAY           ──►  GOAWAY, close
//! ```
//!
//! Nothing is written before the client's first frame, because its HTTP reader may swallow bytes that arrive with the
//! 101.

use super::connection::{self, Connection};
use super::inlet::{HIGH, Inlet};
use super::intake::Intake;
use super::link::Link;
use super::outbox::{Broken, Frame};
use super::outlet::{Outlet, SharedSession};
use super::process::{self, Stdio};
use super::sizes::Sizes;
use super::status::Outcome;
use super::task::Task;
use crate::backend::Backend;
use crate::spdy::fault::{Fault, ResetReason};
use crate::spdy::frames;
use crate::spdy::headers::Headers;
use crate::spdy::session::{Event, Session};
use crate::websocket::protocol::Version;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const MAX_STREAMS: usize = 8;
/// How long the client may take to open all streams.
const CREATION: Duration = Duration::from_secs(30);

/// Streams of a session, in the order of [`NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Error,
    Stdin,
    Stdout,
    Stderr,
    Resize,
}

const NAMES: [(&str, Kind); 5] = [
    ("error", Kind::Error),
    ("stdin", Kind::Stdin),
    ("stdout", Kind::Stdout),
    ("stderr", Kind::Stderr),
    ("resize", Kind::Resize),
];

/// A stream that was opened.
#[derive(Debug, Clone)]
struct Open {
    id: u32,
    closed: CancellationToken,
}

/// The state that the reader and the session share.
struct Streams {
    session: SharedSession,
    wanted: [bool; 5],
    open: Mutex<[Option<Open>; 5]>,
    complete: Notify,
    stdin: Inlet,
    resize: Sizes,
    fault: Mutex<Option<Fault>>,
}

/// Serves one upgraded connection to its end.
pub(crate) async fn serve(connection: Connection, link: &Link, task: Task, version: Version, backend: &impl Backend) {
    let (mut intake, mut socket) = connection.split();
    let streams = Streams::new(link, &task, version);
    let reader = async {
        if let Err(fault) = streams.read(link, &mut intake).await {
            *streams.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
        }
    };
    connection::drive(link, &mut socket, reader, streams.session(link, task, version, backend)).await;
    connection::close(link, intake, socket).await;
}

impl Streams {
    fn new(link: &Link, task: &Task, version: Version) -> Self {
        let [stdin, stdout, stderr] = task.streams();
        Self {
            session: Mutex::new(Session::server(MAX_STREAMS)),
            wanted: [true, stdin, stdout, stderr, task.tty() && version >= Version::V3],
            open: Mutex::default(),
            complete: Notify::new(),
            stdin: Inlet::new(&link.gauge),
            resize: Sizes::default(),
            fault: Mutex::default(),
        }
    }

    // === reader ===

    /// Reads until the client closes or violates the protocol.
    async fn read(&self, link: &Link, intake: &mut Intake) -> Result<(), Fault> {
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

    fn is(&self, kind: Kind, id: u32) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open[kind as usize].as_ref().is_some_and(|open| open.id == id)
    }

    // === session ===

    async fn session(&self, link: &Link, task: Task, version: Version, backend: &impl Backend) {
        let outcome = self.outcome(link, task, version, backend).await;
        if let Some(fault) = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let told = Outcome::Failure(format!("Internal error occurred: protocol error: {fault}"));
            self.tell(link, &told, version);
            return self.goaway(link, 1);
        }
        if let Some(outcome) = outcome {
            self.tell(link, &outcome, version);
            link.linger().await;
        }
        self.goaway(link, 0);
    }

    /// Waits for the streams and runs the process. `None`: the client has disconnected.
    async fn outcome(&self, link: &Link, task: Task, version: Version, backend: &impl Backend) -> Option<Outcome> {
        tokio::select! {
            () = link.gone.cancelled() => return None,
            () = link.shutdown.cancelled() => return Some(task.failed("the runtime is shutting down")),
            complete = timeout(CREATION, self.complete.notified()) => {
                if complete.is_err() {
                    return Some(task.failed("the client did not open all streams in time"));
                }
            }
        }
        let stdin = self.outlet(link, Kind::Stdin);
        if version == Version::V1 {
            // Clients of the first version wait for the end of our side of stdin, which carries no data anyway.
            stdin.iter().for_each(Outlet::finish);
        }
        let stdio = Stdio {
            stdin: stdin.is_some().then_some(&self.stdin),
            resize: self.outlet(link, Kind::Resize).is_some().then_some(&self.resize),
            stdout: self.outlet(link, Kind::Stdout),
            stderr: self.outlet(link, Kind::Stderr),
        };
        process::run(link, task, &stdio, backend).await
    }

    fn outlet<'l>(&'l self, link: &'l Link, kind: Kind) -> Option<Outlet<'l>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { id, closed } = open[kind as usize].clone()?;
        Some(Outlet::Spdy { link, session: &self.session, id, closed })
    }

    /// Sends the last frames: the ends of the outputs, the status, and resets of the input streams.
    fn tell(&self, link: &Link, outcome: &Outcome, version: Version) {
        self.stdin.discard();
        for kind in [Kind::Stdout, Kind::Stderr] {
            self.outlet(link, kind).iter().for_each(Outlet::finish);
        }
        if let Some(error) = self.outlet(link, Kind::Error) {
            let status = outcome.encode(version);
            if !status.is_empty() {
                error.say(status);
            }
            error.finish();
        }
        for kind in [Kind::Stdin, Kind::Resize] {
            self.outlet(link, kind).iter().for_each(|outlet| outlet.reset(ResetReason::Cancel));
        }
    }

    fn goaway(&self, link: &Link, status: u32) {
        let last = self.session.lock().unwrap_or_else(PoisonError::into_inner).goaway(status);
        link.outbox.seal(Some(Frame::new(&[], last)));
    }
}
