// SPDX-License-Identifier: Apache-2.0
//! Exec and attach over WebSocket: channels 0 stdin, 1 stdout, 2 stderr, 3 error, 4 resize.
//!
//! All five exist from the start; the flags of the RPC determine which of them carry data. An empty message on the
//! first output signals that the session is ready. The end is a status on channel 3, then Close 1000.

use super::connection::{self, Connection};
use super::inlet::Inlet;
use super::link::Link;
use super::messages::Messages;
use super::outlet::Outlet;
use super::process::{self, Stdio};
use super::sizes::Sizes;
use super::status::Outcome;
use super::task::Task;
use crate::backend::Backend;
use crate::websocket::channels::{Channels, HalfClose, Input};
use crate::websocket::protocol::{Protocol, Version};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;

struct Session<'l> {
    link: &'l Link,
    protocol: Protocol,
    messages: Messages<'l>,
    stdin: Inlet,
    resize: Sizes,
    wanted: [bool; 3],
    tty: bool,
}

/// Serves one upgraded connection to its end.
pub(crate) async fn serve(connection: Connection, link: &Link, task: Task, protocol: Protocol, backend: &impl Backend) {
    let (mut intake, mut socket) = connection.split();
    let session = Session {
        link,
        protocol,
        messages: Messages::new(link),
        stdin: Inlet::new(&link.gauge),
        resize: Sizes::default(),
        wanted: task.streams(),
        tty: task.tty(),
    };
    let half_close = if protocol.version == Version::V5 { HalfClose::Spoken } else { HalfClose::Unknown };
    let channels = Channels::new(protocol.codec, half_close, |channel| channel == STDIN);
    let (queued, deliver) = (|| session.stdin.queued(), |input: Input<'_>| session.deliver(&input));
    let reader = session.messages.pump(&mut intake, channels, queued, deliver);
    connection::drive(link, &mut socket, reader, session.run(task, backend)).await;
    connection::close(link, intake, socket).await;
}

impl Session<'_> {
    fn deliver(&self, input: &Input<'_>) {
        match *input {
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
        let fault = || self.messages.fault().map(|fault| Outcome::Failure(fault.to_string()));
        if let Some(outcome) = outcome.or_else(fault) {
            let status = outcome.encode(self.protocol.version);
            if !status.is_empty() {
                error.say(status);
            }
        }
        self.messages.close().await;
    }

    fn outlet(&self, number: u8) -> Outlet<'_> {
        Outlet::Channel { link: self.link, number, codec: self.protocol.codec }
    }
}
