// SPDX-License-Identifier: Apache-2.0
//! A client's connection: TCP, or TLS over TCP. The choice costs plain TCP one comparison per call.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

/// A connection as HTTP gets it.
pub(super) type Socket = Either<TcpStream, Tls>;
/// The read half.
pub(super) type ReadHalf = Either<OwnedReadHalf, Tls>;
/// The write half.
pub(super) type WriteHalf = Either<OwnedWriteHalf, Tls>;

/// A TLS session that both halves share. They belong to one task, so the lock is never contended.
#[derive(Debug, Clone)]
pub(super) struct Tls(Arc<Mutex<TlsStream<TcpStream>>>);

impl From<TlsStream<TcpStream>> for Tls {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        Self(Arc::new(Mutex::new(stream)))
    }
}

impl Tls {
    fn stream(&self) -> MutexGuard<'_, TlsStream<TcpStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Splits a connection into the halves for a reader and a writer of one task.
pub(super) fn split(socket: Socket) -> (ReadHalf, WriteHalf) {
    match socket {
        Either::Left(stream) => {
            let (reader, writer) = stream.into_split();
            (Either::Left(reader), Either::Left(writer))
        }
        Either::Right(tls) => (Either::Right(tls.clone()), Either::Right(tls)),
    }
}

/// Whether the client has ended its side, or the connection is broken, even if data still waits to be read.
pub(super) fn is_hung_up(socket: &ReadHalf) -> bool {
    let look = |stream: &TcpStream| {
        let flags = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        let mut socket = [PollFd::from_borrowed_fd(stream.as_fd(), flags)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut socket, Some(&now)).is_ok_and(|ready| ready > 0)
    };
    match socket {
        Either::Left(reader) => look(reader.as_ref()),
        Either::Right(tls) => look(tls.stream().get_ref().0),
    }
}

impl AsyncRead for Tls {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_read(context, buffer)
    }
}

impl AsyncWrite for Tls {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream()).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream()).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_shutdown(context)
    }
}
