// SPDX-License-Identifier: Apache-2.0
//! The shared state of one connection's futures: the queue to its socket, its clocks and the ways it can end.

use super::inlet::Gauge;
use super::outbox::Outbox;
use super::peer::{Ends, tries};
use crate::config::Config;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long a finished session waits for its client to close: in total, and while the client is silent.
const LINGER: Duration = Duration::from_secs(15 * 60);
const LINGER_SILENT: Duration = Duration::from_secs(30);
/// The same when the server shuts down, which is over within a second.
pub(super) const LINGER_AT_SHUTDOWN: Duration = Duration::from_millis(300);
/// How often a stalled connection is checked.
const LOOK: Duration = Duration::from_secs(1);
/// How many probes must have failed, since a single packet may be lost.
const TRIES: u8 = 3;

/// The shared state of one connection's futures.
#[derive(Debug)]
pub(crate) struct Link {
    /// Frames for the socket.
    pub(crate) outbox: Outbox,
    /// Queued bytes from the client.
    pub(crate) gauge: Arc<Gauge>,
    /// The client has closed, or the connection broke.
    pub(crate) gone: CancellationToken,
    /// The client has announced that it is about to close.
    pub(crate) leaving: CancellationToken,
    /// The server is shutting down.
    pub(crate) shutdown: CancellationToken,
    /// The server's limits.
    pub(crate) config: Config,
    ends: Option<Ends>,
    started: Instant,
    moved: AtomicU64,
    heard: AtomicU64,
}

impl Link {
    /// Makes the shared state of a connection. `ends` is `None` when the client disconnected before they could be read.
    pub(crate) fn new(outbox: Outbox, config: Config, shutdown: CancellationToken, ends: Option<Ends>) -> Self {
        Self {
            outbox,
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

    /// Records that data moved, in either direction. Pings are not data.
    pub(crate) fn data_moved(&self) {
        self.moved.store(self.clock(), Ordering::Relaxed);
    }

    /// Records that the client sent something, of any kind.
    pub(crate) fn heard(&self) {
        self.heard.store(self.clock(), Ordering::Relaxed);
    }

    /// Resolves when no data has moved for the idle timeout; never when that is zero.
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

    /// Waits for the client to close after the session's last frame, for a limited time.
    ///
    /// Closing at once would lose that frame: data from the client that arrives at a closed socket, such as its next
    /// ping, makes the kernel drop what was not delivered yet.
    pub(crate) async fn linger(&self) {
        let silent = async {
            self.outbox.flushed().await;
            self.heard();
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

    /// Resolves when no consumer of the client's bytes has taken any for `limit`.
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

    /// Resolves when the peer has acknowledged nothing and answered no probe for half of [`Config::silence`]. It checks
    /// only after something was sent, so an idle connection costs nothing.
    pub(crate) async fn peer_vanished(&self) {
        let Some(ends) = self.ends else { return pending().await };
        loop {
            self.outbox.wrote().await;
            match self.unanswered(ends).await {
                Ok(false) => {}
                Ok(true) => return,
                // Closed in the meantime, which the reader sees; or this kernel cannot tell, and its own timeout
                // applies.
                Err(error) => {
                    tracing::debug!(%error, "cannot ask the kernel about a streaming connection");
                    return pending().await;
                }
            }
        }
    }

    /// Watches the data in flight to the peer: false once it has arrived, true when the peer no longer responds.
    async fn unanswered(&self, ends: Ends) -> std::io::Result<bool> {
        let silence = self.config.silence;
        let mut since = None;
        loop {
            let heard = self.heard.load(Ordering::Relaxed);
            sleep(silence / 12).await;
            if self.heard.load(Ordering::Relaxed) != heard {
                since = None;
                continue;
            }
            match tokio::task::spawn_blocking(move || tries(ends)).await?? {
                None => return Ok(false),
                Some(0) => since = None,
                Some(n) => {
                    let since = *since.get_or_insert_with(Instant::now);
                    if n >= TRIES && since.elapsed() >= silence / 2 {
                        return Ok(true);
                    }
                }
            }
        }
    }
}
