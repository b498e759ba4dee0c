// SPDX-License-Identifier: Apache-2.0
//! How many queries a client may make: a number per second, and some at once.

use std::time::{Duration, Instant};

/// Queries per second. A client that makes more is read from more slowly, and the kernel drops what does not fit into
/// its socket: that costs nobody else anything.
const RATE: u32 = 10_000;
/// Queries at once, after a pause.
const BURST: u32 = 2_000;

/// A bucket of tokens, one for each query.
#[derive(Debug)]
pub struct Bucket {
    /// When it will be full again, or was.
    full: Instant,
}

impl Bucket {
    /// A full one.
    pub fn new(now: Instant) -> Self {
        Self { full: now }
    }

    /// Whether a token is there.
    pub fn has_one(&self, now: Instant) -> bool {
        self.full.saturating_duration_since(now) < token() * BURST
    }

    /// Takes a token.
    pub fn take(&mut self, now: Instant) {
        self.full = self.full.max(now) + token();
    }
}

/// How long a token takes to come.
fn token() -> Duration {
    Duration::from_secs(1) / RATE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_the_rate() {
        let mut now = Instant::now();
        let mut bucket = Bucket::new(now);
        let mut taken = |now| (0..).take_while(|_| bucket.has_one(now).then(|| bucket.take(now)).is_some()).count();
        assert_eq!(taken(now), BURST as usize);
        now += Duration::from_millis(10);
        assert_eq!(taken(now), RATE as usize / 100);
        now += Duration::from_secs(60);
        assert_eq!(taken(now), BURST as usize);
    }
}
