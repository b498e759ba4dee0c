// SPDX-License-Identifier: Apache-2.0
//! One upgraded connection: the queue to its socket, the reader of its socket, its clocks and its end.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::io::poll_read_buf;
use tokio_util::sync::CancellationToken;

use super::inlet::Gauge;
use super::outbox::Outbox;
use super::peer::{self, Ends};
use crate::server::Config;
use crate::socket::{self, ReadHalf, Socket, WriteHalf};

const READ: usize = 64 * 1024;
/// How long a finished session waits for its client to close, in all and while nothing is heard of it.
const LINGER: Duration = Duration::from_secs(15 * 60);
const LINGER_SILENT: Duration = Duration::from_secs(30);
/// How long what is queued for a client may take after the session's end: one that does not read loses it.
const LAST_WRITES: Duration = Duration::from_secs(30);
/// How long a client that has hung up still counts while nobody reads what it sent, and how often that is looked at.
const HUNG_UP: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_secs(1);
/// The same when the server shuts down, which is over within a second.
const LINGER_AT_SHUTDOWN: Duration = Duration::from_millis(300);

/// What the futures of one connection share.
#[derive(Debug)]
pub(crate) struct Link {
    /// Frames for the socket.
    pub(crate) outbox: Outbox,
    /// Bytes from the client that wait.
    pub(crate) gauge: Arc<Gauge>,
    /// The client has closed, or the connection broke.
    pub(crate) gone: CancellationToken,
    /// The client said that it is about to close.
    pub(crate) leaving: CancellationToken,
    /// The server is shutting down.
    pub(crate) shutdown: CancellationToken,
    /// Limits of the server.
    pub(crate) config: Config,
    /// Both addresses of the connection.
    pub(crate) ends: Option<Ends>,
    started: Instant,
    moved: AtomicU64,
    heard: AtomicU64,
}

impl Link {
    pub(crate) fn new(tunnel: bool, config: Config, shutdown: CancellationToken, ends: Option<Ends>) -> Self {
        Self {
            outbox: Outbox::new(tunnel),
            gauge: Arc::default(),
            gone: CancellationToken::new(),
            leaving: CancellationToken::new(),
            shutdown,
            config,
            ends,
            started: Instant::now(),
            moved: AtomicU64::new(0),
            heard: AtomicU64::new(0),
        }
    }

    fn clock(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Notes that data moved, in either direction. Pings are not data.
    pub(crate) fn data_moved(&self) {
        self.moved.store(self.clock(), Ordering::Relaxed);
    }

    /// When something last came from the client, of whatever kind.
    pub(crate) fn last_heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Resolves when no data moved for the idle timeout; never when that is zero.
    pub(crate) async fn idle(&self) {
        if self.config.idle_timeout.is_zero() {
            return pending().await;
        }
        self.quiet_since(&self.moved, self.config.idle_timeout).await;
    }

    async fn quiet_since(&self, last: &AtomicU64, silence: Duration) {
        loop {
            let end = self.started + Duration::from_millis(last.load(Ordering::Relaxed)) + silence;
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }

    /// Waits for the client to close after the session's last word; bounded.
    ///
    /// Closing at once would lose that last word: data of the client that arrives at a closed socket, such as its
    /// next ping, makes the kernel drop what was not delivered yet.
    pub(crate) async fn linger(&self) {
        let silent = async {
            self.outbox.flushed().await;
            self.heard.store(self.clock(), Ordering::Relaxed);
            self.quiet_since(&self.heard, LINGER_SILENT).await;
        };
        let shutdown = async {
            self.shutdown.cancelled().await;
            sleep(LINGER_AT_SHUTDOWN).await;
        };
        tokio::select! {
            () = self.gone.cancelled() => {}
            () = self.leaving.cancelled() => {}
            () = silent => {}
            () = sleep(LINGER) => {}
            () = shutdown => {}
        }
    }

    /// Resolves when no consumer of the client's bytes has taken any for so long.
    pub(crate) async fn stuck(&self, limit: Duration) {
        let (mut last, mut since) = (self.gauge.taken(), Instant::now());
        while since.elapsed() < limit {
            sleep(LOOK.min(limit)).await;
            let taken = self.gauge.taken();
            if taken != last {
                (last, since) = (taken, Instant::now());
            }
        }
    }

    /// Runs the reader, the writer and the session of a connection until the session is over and all is written, or
    /// the client has not read its rest for half a minute, or nobody is there any more.
    ///
    /// A reader that returns means that the client is gone or has broken the protocol.
    pub(crate) async fn drive(
        &self,
        socket: &mut WriteHalf,
        reader: impl Future<Output = ()>,
        session: impl Future<Output = ()>,
    ) {
        let reader = async {
            reader.await;
            self.gone.cancel();
            pending().await
        };
        let over = CancellationToken::new();
        let session = async {
            session.await;
            over.cancel();
        };
        let late = async {
            over.cancelled().await;
            sleep(LAST_WRITES).await;
        };
        let writer = async {
            let written = tokio::select! {
                written = self.outbox.write_to(socket) => written.is_ok(),
                () = late => false,
                () = peer::vanished(self) => false,
            };
            if !written {
                self.outbox.fail();
                self.gone.cancel();
            }
        };
        let work = async { tokio::join!(session, writer) };
        let (reader, work) = (pin!(reader), pin!(work));
        tokio::select! {
            _ = work => {}
            () = reader => {}
        }
    }
}

/// The reading half of a connection. It holds no buffer while nothing comes.
#[derive(Debug)]
pub(crate) struct Intake {
    socket: ReadHalf,
    /// What the HTTP parser had read past the request.
    leftover: Bytes,
    buffer: Vec<u8>,
}

impl Intake {
    /// Splits an upgraded connection.
    pub(crate) fn split(stream: Socket, leftover: Bytes) -> (Self, WriteHalf) {
        let (socket, writer) = socket::split(stream);
        (Self { socket, leftover, buffer: Vec::new() }, writer)
    }

    /// Reads what the client sent; empty at the end.
    pub(crate) async fn read(&mut self, link: &Link) -> io::Result<&mut [u8]> {
        self.buffer.clear();
        if !self.leftover.is_empty() {
            self.buffer.extend_from_slice(&std::mem::take(&mut self.leftover));
            return Ok(&mut self.buffer);
        }
        // The other futures of this connection get their turn between two reads of a busy socket.
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
        link.heard.store(link.clock(), Ordering::Relaxed);
        Ok(&mut self.buffer)
    }

    /// Resolves when the client has hung up and nobody takes what it sent, for a reader that waits for room: it would
    /// learn only from a read that nobody is there any more.
    pub(crate) async fn abandoned(&self, link: &Link) {
        loop {
            link.stuck(HUNG_UP).await;
            if socket::is_hung_up(&self.socket) {
                return;
            }
        }
    }

    /// Ends a connection: no more of ours, then a short while for the client to see it and close.
    pub(crate) async fn close(mut self, mut socket: WriteHalf, link: &Link) {
        let drain = async {
            socket.shutdown().await?;
            while !self.read(link).await?.is_empty() {}
            io::Result::Ok(())
        };
        // Whatever happens here, the connection is over; both halves are dropped.
        let _ = timeout(LINGER_AT_SHUTDOWN, drain).await;
    }
}
