// SPDX-License-Identifier: Apache-2.0
//! CPU usage per second, computed from the previous reading: nothing samples in the background.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Shortest time between two readings. A rate over less would be noise, so the previous rate is returned again.
const SHORTEST_NS: i64 = 1_000_000_000;
/// A reading older than this is dropped.
const LONGEST_NS: i64 = 600_000_000_000;
/// Number of readings from which on old ones are dropped.
const CROWDED: usize = 1024;

#[derive(Debug, Clone, Copy)]
struct Reading {
    at_ns: i64,
    cpu_ns: u64,
    rate: Option<u64>,
}

/// The last reading of each cgroup.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<HashMap<String, Reading>>);

impl Rates {
    /// Takes a reading and returns nanoseconds of CPU time per second since the previous one; `None` for the first.
    pub(super) fn take(&self, cgroup: &str, at_ns: i64, cpu_ns: u64) -> Option<u64> {
        let mut readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if readings.len() >= CROWDED {
            readings.retain(|_, reading| at_ns - reading.at_ns < LONGEST_NS);
        }
        let Some(before) = readings.get_mut(cgroup) else {
            readings.insert(cgroup.to_owned(), Reading { at_ns, cpu_ns, rate: None });
            return None;
        };
        let passed = at_ns - before.at_ns;
        if (0..SHORTEST_NS).contains(&passed) {
            return before.rate;
        }
        let valid = (SHORTEST_NS..LONGEST_NS).contains(&passed) && cpu_ns >= before.cpu_ns;
        let rate = valid.then(|| u128::from(cpu_ns - before.cpu_ns) * 1_000_000_000 / passed.unsigned_abs() as u128);
        *before = Reading { at_ns, cpu_ns, rate: rate.and_then(|rate| u64::try_from(rate).ok()) };
        before.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_needs_two_readings_a_second_apart() {
        let rates = Rates::default();
        let second = 1_000_000_000;
        assert_eq!(rates.take("/a", second, 500), None);
        assert_eq!(rates.take("/a", second + 1, 600), None, "too close");
        assert_eq!(rates.take("/a", 3 * second, 500 + 1_000_000_000), Some(500_000_000));
        assert_eq!(rates.take("/a", 3 * second + 1, 9_000_000_000), Some(500_000_000), "given again");
        assert_eq!(rates.take("/a", 5 * second, 7), None, "another cgroup of the same name");
        assert_eq!(rates.take("/a", 700 * second, 8), None, "too long ago");
        assert_eq!(rates.take("/b", 3 * second, 1), None);
    }
}
