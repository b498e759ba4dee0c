// SPDX-License-Identifier: Apache-2.0
//! What has to be done at a time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a client that has sent too much is left alone.
const PAUSE: Duration = Duration::from_millis(10);
/// How often connections and questions are looked through: they have seconds.
const SWEEP: Duration = Duration::from_millis(100);

/// The times to come.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// Clients that are left alone, and until when. All pauses are equal, so they end in order.
    paused: VecDeque<(Instant, u64)>,
    /// Clients whose connections cannot be accepted now.
    muted: Vec<u64>,
    swept: Option<Instant>,
}

impl Times {
    pub(super) fn pause(&mut self, client: u64, now: Instant) {
        self.paused.push_back((now + PAUSE, client));
    }

    pub(super) fn mute(&mut self, client: u64) {
        self.muted.push(client);
    }

    /// When things are looked through next; not yet known at first.
    pub(super) fn next_sweep(&self) -> Option<Instant> {
        self.swept.map(|at| at + SWEEP)
    }

    /// When the next client is to be read from again.
    pub(super) fn next_resume(&self) -> Option<Instant> {
        self.paused.front().map(|(until, _)| *until)
    }

    /// A client whose pause is over.
    pub(super) fn resumed(&mut self, now: Instant) -> Option<u64> {
        self.paused.pop_front_if(|(until, _)| *until <= now).map(|(_, client)| client)
    }

    /// Whether a client's connections are to be accepted again.
    pub(super) fn has_muted(&self) -> bool {
        !self.muted.is_empty()
    }

    /// Begins to look things through. Returns whose connections are to be accepted again.
    pub(super) fn begin_sweep(&mut self, now: Instant) -> Vec<u64> {
        self.swept = Some(now);
        std::mem::take(&mut self.muted)
    }
}
