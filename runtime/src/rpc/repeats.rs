// SPDX-License-Identifier: Apache-2.0
//! The same failure again and again: it has one line a minute, which says how often it came.

use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long a failure that was shown is only counted.
pub const QUIET: Duration = Duration::from_secs(60);
/// Failures that are remembered; of more, the one that was shown first is forgotten.
const MOST: usize = 256;

/// Failures that were shown, by a number that stands for all that makes two of them the same.
#[derive(Debug, Default)]
pub struct Repeats(HashMap<u64, Shown>);

#[derive(Debug)]
struct Shown {
    at: Instant,
    since: u64,
}

impl Repeats {
    /// Whether a failure is to be shown: with the number of those that were not since the last time.
    pub fn shows(&mut self, failure: u64) -> Option<u64> {
        let now = Instant::now();
        match self.0.get_mut(&failure) {
            Some(shown) if now.duration_since(shown.at) < QUIET => {
                shown.since += 1;
                None
            }
            Some(shown) => Some(std::mem::replace(shown, Shown { at: now, since: 0 }).since),
            None => {
                self.make_room();
                self.0.insert(failure, Shown { at: now, since: 0 });
                Some(0)
            }
        }
    }

    fn make_room(&mut self) {
        if self.0.len() < MOST {
            return;
        }
        if let Some(oldest) = self.0.iter().min_by_key(|(_, shown)| shown.at).map(|(failure, _)| *failure) {
            self.0.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_failure_is_shown_once_a_minute_with_its_number() {
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
        assert_eq!((repeats.shows(9_999), repeats.shows(0)), (None, Some(0)), "the oldest are forgotten first");
    }
}
