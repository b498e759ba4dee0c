// SPDX-License-Identifier: Apache-2.0
//! A client's connection, below the HTTP/2 engine. What the client writes goes through the
//! [filter](gorae_headers::authority). A client that stops half way, or that has had no request for long, is
//! disconnected, so that it does not hold the daemon's memory.

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

/// How long the connection preface, a frame or a header block may take once it has begun: each is a few kilobytes that
/// a client has ready to send.
pub const FRAME_LIMIT: Duration = Duration::from_secs(20);
/// How long a connection may have no request in flight. Clients reconnect when they need to.
pub const IDLE_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Most bytes that are read at once while a frame is assembled.
const PIECE: usize = 4096;
/// Stands for the number of a frame after the filter has stopped counting.
const UNCOUNTED: u64 = u64::MAX;

/// A connection to the CRI socket.
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    filter: Filter,
    client: Registered,
    /// The unfinished frame, and since when it has been unfinished.
    waiting: Option<(u64, Instant)>,
    /// Fires no later than the client's deadline.
    alarm: Pin<Box<Sleep>>,
}

/// A registered client; dropping this removes it.
#[derive(Debug)]
struct Registered(Arc<Client>);

impl Drop for Registered {
    fn drop(&mut self) {
        self.0.clients().remove(&self.0);
    }
}

impl<S> Connection<S> {
    /// The connection of a client that was admitted.
    pub fn new(stream: S, client: Arc<Client>) -> Self {
        let alarm = Box::pin(sleep_until(Instant::now() + FRAME_LIMIT));
        Self { stream, filter: Filter::default(), client: Registered(client), waiting: None, alarm }
    }

    fn client(&self) -> &Client {
        &self.client.0
    }

    /// The client's deadline as of now. To be called when there is nothing more to read.
    fn deadline(&mut self) -> Instant {
        let now = Instant::now();
        let begun = if self.filter.is_blind() { Some(UNCOUNTED) } else { self.filter.unfinished() };
        let Some(frame) = begun else {
            self.waiting = None;
            return self.client().idle_since().unwrap_or(now) + IDLE_LIMIT;
        };
        let (_, since) = *self.waiting.insert(self.waiting.filter(|w| w.0 == frame).unwrap_or((frame, now)));
        since + FRAME_LIMIT
    }

    /// Whether the client has missed its deadline. If not, the task is woken when it does.
    fn is_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let due = self.deadline();
            if self.alarm.deadline() > due || self.alarm.is_elapsed() {
                self.alarm.as_mut().reset(due);
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return false;
            }
            // The alarm may have fired for a deadline that was met in the meantime; the current one decides.
            if due <= Instant::now() {
                return true;
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Connection<S> {
    /// Reads what the filter waits for and nothing more.
    fn poll_complete(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut piece = [0; PIECE];
        let room = self.filter.needs().min(PIECE);
        let mut piece = ReadBuf::new(&mut piece[..room]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        if piece.filled().is_empty() {
            self.filter.give_up();
        } else {
            self.client().mark_active();
            self.filter.complete(piece.filled());
        }
        Poll::Ready(Ok(()))
    }

    /// Reads data that goes straight through; true when there is some, or when the client has ended the stream.
    fn poll_pass(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let new = &mut buf.filled_mut()[before..];
        if new.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let passed = self.filter.pass(new);
        self.client().mark_active();
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
        this.client().set_waker(cx.waker());
        // A read of zero bytes is the end of the stream.
        if this.client().is_closing() {
            return Poll::Ready(Ok(()));
        }
        match this.poll_more(cx, buf) {
            Poll::Pending if this.is_overdue(cx) => {
                tracing::debug!(
                    unfinished = this.waiting.is_some(),
                    "a client is idle or too slow; closing its connection"
                );
                Poll::Ready(Ok(()))
            }
            read => read,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.client().is_closing() {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.client().is_closing() {
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
