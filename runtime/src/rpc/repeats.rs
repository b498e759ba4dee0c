// SPDX-License-Identifier: Apache-2.0
//! Limits a repeated failure to one line a minute, which says how often it was left out.

use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long a failure is only counted after it was logged.
pub const QUIET: Duration = Duration::from_secs(60);
/// Most failures that are remembered; beyond that, the one logged least recently is evicted.
const MOST: usize = 256;

/// Failures that were logged, by a hash of everything that makes two of them the same.
#[derive(Debug, Default)]
pub struct Repeats(HashMap<u64, Logged>);

#[derive(Debug)]
struct Logged {
    at: Instant,
    left_out: u64,
}

impl Repeats {
    /// Whether to log a failure: if so, how often it was left out since its last line.
    pub fn shows(&mut self, failure: u64) -> Option<u64> {
        let now = Instant::now();
        match self.0.get_mut(&failure) {
            Some(logged) if now.duration_since(logged.at) < QUIET => {
                logged.left_out += 1;
                None
            }
            Some(logged) => Some(std::mem::replace(logged, Logged { at: now, left_out: 0 }).left_out),
            None => {
                self.make_room();
                self.0.insert(failure, Logged { at: now, left_out: 0 });
                Some(0)
            }
        }
    }

    fn make_room(&mut self) {
        if self.0.len() < MOST {
            return;
        }
        if let Some(oldest) = self.0.iter().min_by_key(|(_, logged)| logged.at).map(|(failure, _)| *failure) {
            self.0.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_repeated_failure_is_logged_once_a_minute_with_a_count() {
        let mut repeats = Repeats::default();
        assert_eq!(
            (repeats.shows(1), repeats.shows(1), repeats.shows(1), repeats.shows(2)),
            (Some(0), None, None, Some(0))
        );
        tokio::time::advance(QUIET).await;
        assert_eq!((repeats.shows(1), repeats.shows(1), repeats.shows(2)), (Some(2), None, Some(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn many_different_failures_do_not_fill_the_memory() {
        let mut repeats = Repeats::default();
        for failure in 0..10_000 {
            assert_eq!(repeats.shows(failure), Some(0));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(repeats.0.len(), MOST);
        assert_eq!((repeats.shows(9_999), repeats.shows(0)), (None, Some(0)), "the oldest are evicted first");
    }
}
