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

mod reader;
mod streams;

use super::connection::{self, Connection};
use super::link::Link;
use super::outbox::Frame;
use super::outlet::Outlet;
use super::process::{self, Stdio};
use super::status::Outcome;
use super::task::Task;
use crate::backend::Backend;
use crate::spdy::fault::ResetReason;
use crate::websocket::protocol::Version;
use std::sync::PoisonError;
use std::time::Duration;
use streams::{Kind, Streams};
use tokio::time::timeout;

/// How long the client may take to open all streams.
const CREATION: Duration = Duration::from_secs(30);

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
