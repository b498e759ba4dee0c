// SPDX-License-Identifier: Apache-2.0
//! The host that a pull waits for. A long wait is logged, and shown to clients that follow the pull.

use crate::config::Config;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The waits of one pull.
#[derive(Debug, Default)]
pub struct Waits(Mutex<Vec<Weak<Wait>>>);

impl Waits {
    /// Begins a wait for `what`; it ends when it is dropped.
    pub fn begin(&self, config: &Config, what: &str) -> Arc<Wait> {
        let state = State { host: String::new(), since: Some(Instant::now()), came: 0, is_said: false };
        let (after, floor) = (config.slow_after, config.stall_floor_bytes);
        let wait = Arc::new(Wait { what: what.to_owned(), after, floor, state: Mutex::new(state) });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(&wait));
        wait
    }

    /// Describes the longest current wait; `None` while there is progress.
    pub fn longest(&self) -> Option<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let long = all.iter().filter_map(Weak::upgrade).filter_map(|wait| Some((wait.long()?, wait)));
        long.max_by_key(|(time, _)| *time).map(|(time, wait)| wait.words(time))
    }
}

/// A wait for one object, from any host.
#[derive(Debug)]
pub struct Wait {
    what: String,
    after: Duration,
    floor: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    host: String,
    /// When the wait began; `None` while the host waits for this node.
    since: Option<Instant>,
    /// Bytes that arrived since then.
    came: u64,
    is_said: bool,
}

impl Wait {
    /// Sets the host that is tried now. The wait for a different host starts over.
    pub fn ask(&self, host: &str) {
        let mut state = self.state();
        if state.host != host {
            *state = State { host: host.to_owned(), since: Some(Instant::now()), came: 0, is_said: false };
        }
    }

    /// Counts bytes that arrived. Once there are enough, the wait starts over.
    pub fn came(&self, bytes: usize) {
        let mut state = self.state();
        state.came += bytes as u64;
        if state.came >= self.floor {
            (state.came, state.since, state.is_said) = (0, Some(Instant::now()), false);
        }
    }

    /// Runs `work`, during which the host waits for this node.
    pub async fn aside<T>(&self, work: impl Future<Output = T>) -> T {
        self.state().since = None;
        let done = work.await;
        let mut state = self.state();
        (state.since, state.is_said) = (Some(Instant::now()), false);
        done
    }

    /// Runs `work`, and logs the wait when it gets long.
    pub async fn watch<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(self.until_said()) => self.say(),
            }
        }
    }

    fn until_said(&self) -> Duration {
        let state = self.state();
        match state.since {
            Some(since) if !state.is_said => self.after.saturating_sub(since.elapsed()),
            _ => self.after,
        }
    }

    fn say(&self) {
        let Some(time) = self.long() else { return };
        let mut state = self.state();
        if !std::mem::replace(&mut state.is_said, true) {
            tracing::warn!(host = state.host, what = self.what, seconds = time.as_secs(), "waiting for a registry");
        }
    }

    /// How long the wait has been, if it is long.
    fn long(&self) -> Option<Duration> {
        self.state().since.map(|since| since.elapsed()).filter(|time| *time >= self.after)
    }

    fn words(&self, time: Duration) -> String {
        format!("waiting for {} for {} s: {}", self.state().host, time.as_secs(), self.what)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(100);

    fn begin(waits: &Waits) -> Arc<Wait> {
        let mut config = Config::new("/x");
        (config.slow_after, config.stall_floor_bytes) = (LONG, 1000);
        let wait = waits.begin(&config, "it");
        wait.ask("reg.io");
        wait
    }

    #[tokio::test]
    async fn a_long_wait_is_told_until_enough_came_or_it_is_over() {
        let waits = Waits::default();
        let wait = begin(&waits);
        assert_eq!(waits.longest(), None);
        wait.watch(tokio::time::sleep(LONG * 2)).await;
        wait.came(999);
        assert_eq!(waits.longest().as_deref(), Some("waiting for reg.io for 0 s: it"));
        assert!(wait.state().is_said);
        wait.came(1);
        assert_eq!(waits.longest(), None);
        tokio::time::sleep(LONG * 2).await;
        assert!(waits.longest().is_some());
        drop(wait);
        assert_eq!(waits.longest(), None);
    }

    #[tokio::test]
    async fn the_time_of_this_node_is_no_wait() {
        let waits = Waits::default();
        let wait = begin(&waits);
        wait.watch(wait.aside(tokio::time::sleep(LONG * 3))).await;
        assert!(!wait.state().is_said);
        assert_eq!(waits.longest(), None);
    }
}
