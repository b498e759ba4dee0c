// SPDX-License-Identifier: Apache-2.0
//! Exec and attach over WebSocket: channels 0 stdin, 1 stdout, 2 stderr, 3 error, 4 resize.
//!
//! All five exist from the start; the flags of the RPC say which of them carry anything. An empty message on the
//! first output says that the session is ready. The end is a status on channel 3, then Close 1000.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{MissedTickBehavior, interval};

use super::inlet::{HIGH, Inlet};
use super::link::{Intake, Link};
use super::outbox::Frame;
use super::outlet::Outlet;
use super::process::{self, Stdio, Task};
use super::sizes::Sizes;
use super::status::Outcome;
use crate::Backend;
use crate::socket::Socket;
use crate::websocket::channels::{Channels, Input};
use crate::websocket::frames::{self, Decoder, Event};
use crate::websocket::{Fault, Protocol, Version};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// While the socket is not read, its pings go unanswered; clients give up after 60 s without a pong.
pub(super) const UNASKED_PONG: Duration = Duration::from_secs(15);

/// How the client ended the connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Farewell {
    /// It sent Close, with this code if any.
    Close(Option<u16>),
    /// It broke the protocol.
    Fault(Fault),
    /// It just went.
    Cut,
}

struct Session<'l> {
    link: &'l Link,
    protocol: Protocol,
    stdin: Inlet,
    resize: Sizes,
    wanted: [bool; 3],
    tty: bool,
    farewell: Mutex<Farewell>,
}

/// Serves one upgraded connection to its end.
pub(crate) async fn serve(
    stream: Socket,
    leftover: Bytes,
    link: &Link,
    task: Task,
    protocol: Protocol,
    backend: &impl Backend,
) {
    let (mut intake, mut socket) = Intake::split(stream, leftover);
    let session = Session {
        link,
        protocol,
        stdin: Inlet::new(&link.gauge),
        resize: Sizes::default(),
        wanted: task.streams(),
        tty: task.tty(),
        farewell: Mutex::new(Farewell::Cut),
    };
    let reader = async {
        let farewell = session.read(&mut intake).await;
        *session.farewell.lock().expect("no panic under this lock") = farewell;
    };
    link.drive(&mut socket, reader, session.run(task, backend)).await;
    intake.close(socket, link).await;
}

impl Session<'_> {
    async fn read(&self, intake: &mut Intake) -> Farewell {
        let mut decoder = Decoder::server();
        let half_close = self.protocol.version == Version::V5;
        let mut channels = Channels::new(self.protocol.codec, half_close, |channel| channel == STDIN);
        loop {
            tokio::select! {
                biased;
                () = self.wait_for_room() => {}
                () = intake.abandoned(self.link) => return Farewell::Cut,
            }
            let Ok(mut input) = intake.read(self.link).await else { return Farewell::Cut };
            if input.is_empty() {
                return Farewell::Cut;
            }
            loop {
                let event = match decoder.next(&mut input) {
                    Ok(Some(event)) => event,
                    Ok(None) => break,
                    Err(fault) => return Farewell::Fault(fault),
                };
                match &event {
                    Event::Ping(payload) => self.link.outbox.pong(frames::frame(frames::PONG, payload)),
                    Event::Close(code) => return Farewell::Close(*code),
                    _ => {}
                }
                if let Err(fault) = channels.piece(&event, |input| self.deliver(input)) {
                    return Farewell::Fault(fault);
                }
            }
        }
    }

    async fn wait_for_room(&self) {
        if self.stdin.queued() <= HIGH {
            return;
        }
        let mut pongs = interval(UNASKED_PONG);
        pongs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.stdin.queued() > HIGH / 2 {
            tokio::select! {
                () = self.link.gauge.drained() => {}
                _ = pongs.tick() => self.link.outbox.pong(frames::frame(frames::PONG, &[])),
            }
        }
    }

    fn deliver(&self, input: Input<'_>) {
        match input {
            Input::Bytes { channel: STDIN, bytes } if self.wanted[0] => {
                self.link.data_moved();
                self.stdin.push(bytes);
            }
            Input::Bytes { channel: RESIZE, bytes } if self.tty => self.resize.push(bytes),
            Input::HalfClosed { channel: STDIN } => self.stdin.end(),
            Input::Bytes { .. } | Input::HalfClosed { .. } => {}
        }
    }

    async fn run(&self, task: Task, backend: &impl Backend) {
        let [stdin, stdout, stderr] = self.wanted;
        let error = self.outlet(ERROR);
        let stdio = Stdio {
            stdin: stdin.then_some(&self.stdin),
            resize: self.tty.then_some(&self.resize),
            stdout: stdout.then(|| self.outlet(STDOUT)),
            stderr: stderr.then(|| self.outlet(STDERR)),
        };
        stdio.stdout.as_ref().or(stdio.stderr.as_ref()).unwrap_or(&error).say(Vec::new());
        let outcome = process::run(self.link, task, &stdio, backend).await;
        self.stdin.discard();
        let outcome = outcome.or_else(|| self.fault().map(|fault| Outcome::Failure(fault.to_string())));
        if let Some(outcome) = outcome {
            let status = outcome.encode(self.protocol.version);
            if !status.is_empty() {
                error.say(status);
            }
        }
        self.close().await;
    }

    fn outlet(&self, number: u8) -> Outlet<'_> {
        Outlet::Channel { link: self.link, number, codec: self.protocol.codec }
    }

    fn farewell(&self) -> Farewell {
        *self.farewell.lock().expect("no panic under this lock")
    }

    fn fault(&self) -> Option<Fault> {
        match self.farewell() {
            Farewell::Fault(fault) => Some(fault),
            _ => None,
        }
    }

    /// Ends the connection with Close, and waits for that of the client if it has not come yet.
    async fn close(&self) {
        if !self.link.gone.is_cancelled() {
            self.link.outbox.seal_raw(Frame::new(&[], frames::close(1000, "")));
            return self.link.linger().await;
        }
        let last = answer_to(self.farewell());
        self.link.outbox.seal(last.map(|frame| Frame::new(&[], frame)));
    }
}

/// The Close that answers what the client did, if one is due.
pub(super) fn answer_to(farewell: Farewell) -> Option<Vec<u8>> {
    match farewell {
        Farewell::Close(code) => Some(frames::close(code.unwrap_or(1000), "")),
        Farewell::Fault(fault) => Some(frames::close(fault.code, fault.reason)),
        Farewell::Cut => None,
    }
}
