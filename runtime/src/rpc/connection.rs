// SPDX-License-Identifier: Apache-2.0
//! A client's connection, below the HTTP/2 engine: what it writes goes through the [filter](gorae_headers), and who
//! stops in the middle of something, or has asked for nothing for long, does not keep the daemon's memory.

use super::clients::Client;
use gorae_headers::authority::Filter;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::transport::server::Connected;

/// How long the greeting, a frame or a header block may take once it has begun: each is a few kilobytes that a client has
/// at hand.
pub const FRAME_LIMIT: Duration = Duration::from_secs(20);
/// How long a connection may be without a request. Clients make a new one when they need it.
pub const IDLE_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Most bytes that are read at once where a frame is put together.
const PIECE: usize = 4096;
/// Number of a frame that nobody has counted.
const UNCOUNTED: u64 = u64::MAX;

/// A connection of the CRI socket.
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    filter: Filter,
    client: Dismissed,
    /// The frame that is waited for, and since when.
    waiting: Option<(u64, Instant)>,
    /// Rings no later than something is overdue.
    alarm: Pin<Box<Sleep>>,
}

/// A client whose connection ends with this.
#[derive(Debug)]
struct Dismissed(Arc<Client>);

impl Drop for Dismissed {
    fn drop(&mut self) {
        self.0.clients().dismiss(&self.0);
    }
}

impl<S> Connection<S> {
    /// The connection of a client that was let in.
    pub fn new(stream: S, client: Arc<Client>) -> Self {
        let alarm = Box::pin(sleep_until(Instant::now() + FRAME_LIMIT));
        Self { stream, filter: Filter::default(), client: Dismissed(client), waiting: None, alarm }
    }

    fn client(&self) -> &Client {
        &self.client.0
    }

    /// When the client has taken too long, as far as can be said now; nothing more was read.
    fn due(&mut self) -> Instant {
        let now = Instant::now();
        let begun = if self.filter.is_blind() { Some(UNCOUNTED) } else { self.filter.unfinished() };
        let Some(frame) = begun else {
            self.waiting = None;
            return self.client().idle_since().unwrap_or(now) + IDLE_LIMIT;
        };
        let (_, since) = *self.waiting.insert(self.waiting.filter(|w| w.0 == frame).unwrap_or((frame, now)));
        since + FRAME_LIMIT
    }

    /// Whether the client has taken too long; otherwise the task is woken when it has.
    fn is_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let due = self.due();
            if self.alarm.deadline() > due || self.alarm.is_elapsed() {
                self.alarm.as_mut().reset(due);
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return false;
            }
            // It rang for something that was finished meanwhile, unless this is over as well.
            if due <= Instant::now() {
                return true;
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Connection<S> {
    /// Reads what the filter waits for, no more.
    fn poll_complete(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut piece = [0; PIECE];
        let room = self.filter.needs().min(PIECE);
        let mut piece = ReadBuf::new(&mut piece[..room]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        if piece.filled().is_empty() {
            self.filter.give_up();
        } else {
            self.client().speaks();
            self.filter.complete(piece.filled());
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what can be read right through; true when there is something, or the client has ended.
    fn poll_pass(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let new = &mut buf.filled_mut()[before..];
        if new.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let passed = self.filter.pass(new);
        self.client().speaks();
        buf.set_filled(before + passed);
        Poll::Ready(Ok(passed > 0))
    }

    fn poll_more(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let ready = self.filter.ready();
            if !ready.is_empty() {
                let count = ready.len().min(buf.remaining());
                buf.put_slice(&ready[..count]);
                self.filter.read(count);
                return Poll::Ready(Ok(()));
            }
            if self.filter.needs() > 0 {
                ready!(self.poll_complete(cx))?;
            } else if ready!(self.poll_pass(cx, buf))? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.client().watch(cx.waker());
        // Reading nothing is the end.
        if this.client().is_leaving() {
            return Poll::Ready(Ok(()));
        }
        match this.poll_more(cx, buf) {
            Poll::Pending if this.is_overdue(cx) => {
                tracing::debug!(
                    unfinished = this.waiting.is_some(),
                    "a client asks for nothing; its connection is ended"
                );
                Poll::Ready(Ok(()))
            }
            read => read,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.client().is_leaving() {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.client().is_leaving() {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl<S> Connected for Connection<S> {
    type ConnectInfo = Arc<Client>;

    fn connect_info(&self) -> Arc<Client> {
        self.client.0.clone()
    }
}
