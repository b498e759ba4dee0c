// SPDX-License-Identifier: Apache-2.0
//! The read half of a connection.

use super::link::Link;
use crate::socket::{self, ReadHalf};
use bytes::Bytes;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio_util::io::poll_read_buf;

const READ: usize = 64 * 1024;
/// How long a client that has hung up still counts as present while its bytes are not consumed.
const HUNG_UP: Duration = Duration::from_secs(5);

/// The read half of a connection. It holds no buffer while no data arrives.
#[derive(Debug)]
pub(crate) struct Intake {
    socket: ReadHalf,
    /// Bytes that the HTTP parser read past the request.
    leftover: Bytes,
    buffer: Vec<u8>,
}

impl Intake {
    /// Takes the read half over from HTTP.
    pub(crate) fn new(socket: ReadHalf, leftover: Bytes) -> Self {
        Self { socket, leftover, buffer: Vec::new() }
    }

    /// Waits for `room`, then reads what the client sent, at least one byte.
    ///
    /// `None`: the client has closed, the connection broke, or the client hung up while its bytes were not consumed.
    pub(crate) async fn next(&mut self, link: &Link, room: impl Future<Output = ()>) -> Option<&mut [u8]> {
        tokio::select! {
            biased;
            () = room => {}
            () = self.abandoned(link) => return None,
        }
        self.read(link).await.ok().filter(|input| !input.is_empty())
    }

    /// Reads once; empty at the end.
    async fn read(&mut self, link: &Link) -> io::Result<&mut [u8]> {
        self.buffer.clear();
        if !self.leftover.is_empty() {
            self.buffer.extend_from_slice(&std::mem::take(&mut self.leftover));
            return Ok(&mut self.buffer);
        }
        // Lets the other futures of this connection run between two reads of a busy socket.
        tokio::task::yield_now().await;
        let Self { socket, buffer, .. } = self;
        poll_fn(|context| {
            buffer.reserve_exact(READ);
            let read = poll_read_buf(Pin::new(&mut *socket), context, buffer);
            if read.is_pending() {
                *buffer = Vec::new();
            }
            Poll::Ready(ready!(read))
        })
        .await?;
        link.heard();
        Ok(&mut self.buffer)
    }

    /// Resolves when the client has hung up and its bytes are not consumed. A reader that waits for room needs this:
    /// otherwise only its next read would notice that the client has disconnected.
    async fn abandoned(&self, link: &Link) {
        loop {
            link.stuck(HUNG_UP).await;
            if socket::is_hung_up(&self.socket) {
                return;
            }
        }
    }

    /// Reads and drops everything until the client closes.
    pub(crate) async fn drain(mut self, link: &Link) -> io::Result<()> {
        while !self.read(link).await?.is_empty() {}
        Ok(())
    }
}
