// SPDX-License-Identifier: Apache-2.0
//! Hosts that were recently unreachable. Waiting for one takes up to a minute, and a pull requests many objects.
//!
//! All pulls try such a host last and only once, until its time is over or it has responded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most hosts that are remembered. The bound is needed because clients choose the names.
const MAX_HOSTS: usize = 256;

/// Until when to try a host last, by origin. All clones share the same map.
#[derive(Debug, Default, Clone)]
pub struct Reach(Arc<Mutex<HashMap<String, Instant>>>);

impl Reach {
    /// Records for `pause` that a host was unreachable. Returns whether this is new.
    pub fn lost(&self, host: &str, pause: Duration) -> bool {
        let (mut known, now) = (self.known(), Instant::now());
        known.retain(|_, until| *until > now);
        if known.len() >= MAX_HOSTS && !known.contains_key(host) {
            let first = known.iter().min_by_key(|(_, until)| **until).map(|(host, _)| host.clone());
            first.and_then(|first| known.remove(&first));
        }
        known.insert(host.to_owned(), now + pause).is_none()
    }

    /// Removes a host, because it has responded.
    pub fn found(&self, host: &str) {
        let mut known = self.known();
        if !known.is_empty() {
            known.remove(host);
        }
    }

    /// Whether a host was recently unreachable.
    pub fn is_lost(&self, host: &str) -> bool {
        self.known().get(host).is_some_and(|until| *until > Instant::now())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        // No code under the lock can panic halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1000);

    #[test]
    fn a_host_is_lost_until_its_time_is_over_or_it_answers() {
        let reach = Reach::default();
        assert!(!reach.is_lost("a") && reach.lost("a", LONG) && !reach.lost("a", LONG));
        assert!(reach.clone().is_lost("a") && !reach.is_lost("b"));
        reach.found("a");
        assert!(!reach.is_lost("a") && reach.lost("a", Duration::ZERO));
        assert!(!reach.is_lost("a"));
    }

    #[test]
    fn no_more_than_some_hosts_are_remembered() {
        let reach = Reach::default();
        for n in 0..2 * MAX_HOSTS {
            reach.lost(&n.to_string(), LONG + Duration::from_secs(n as u64));
        }
        assert_eq!(reach.known().len(), MAX_HOSTS);
        assert!(reach.is_lost(&(2 * MAX_HOSTS - 1).to_string()) && !reach.is_lost("0"));
    }
}
