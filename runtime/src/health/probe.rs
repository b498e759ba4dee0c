// SPDX-License-Identifier: Apache-2.0
//! A probe of a file system that may never respond. Every caller gets an answer within a second, and a probe that hangs
//! costs one thread, however often it is run.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use std::fmt::{Debug, Formatter};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a caller waits.
pub const PATIENCE: Duration = Duration::from_secs(1);

type Run<T> = Shared<BoxFuture<'static, Result<T, String>>>;

/// A check that may hang.
pub struct Probe<T> {
    name: &'static str,
    work: Arc<dyn Fn() -> Result<T, String> + Send + Sync>,
    in_flight: Mutex<Option<Run<T>>>,
}

impl<T> Debug for Probe<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Probe").field(&self.name).finish()
    }
}

impl<T: Clone + Send + Sync + 'static> Probe<T> {
    /// A probe; `work` runs on a thread that may block.
    pub fn new(name: &'static str, work: impl Fn() -> Result<T, String> + Send + Sync + 'static) -> Self {
        Self { name, work: Arc::new(work), in_flight: Mutex::default() }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs the work, or joins the run in flight.
    ///
    /// # Errors
    /// Those of the work; a sentence when there is no result within `PATIENCE`.
    pub async fn run(&self) -> Result<T, String> {
        let run = self.join();
        tokio::time::timeout(PATIENCE, run).await.unwrap_or_else(|_| {
            Err(format!("no answer within {} s: the file system does not respond", PATIENCE.as_secs()))
        })
    }

    fn join(&self) -> Run<T> {
        let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = in_flight.as_ref().filter(|run| run.peek().is_none()) {
            return run.clone();
        }
        let work = self.work.clone();
        let thread = tokio::task::spawn_blocking(move || work());
        let run = thread.map(|ended| ended.unwrap_or_else(|e| Err(format!("the check failed: {e}"))));
        in_flight.insert(run.boxed().shared()).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Instant;

    #[tokio::test]
    async fn a_probe_that_hangs_is_reported_in_time_and_does_not_pile_up() {
        let (release, held) = mpsc::channel::<()>();
        let (held, runs) = (Mutex::new(held), Arc::new(AtomicUsize::new(0)));
        let count = runs.clone();
        let probe = Probe::new("disk", move || {
            count.fetch_add(1, Ordering::SeqCst);
            held.lock().expect("no panic").recv().map_err(|e| e.to_string())
        });
        let begun = Instant::now();
        let both = tokio::join!(probe.run(), probe.run());
        let third = probe.run().await;
        assert!(begun.elapsed() < PATIENCE * 3, "{:?}", begun.elapsed());
        for answer in [both.0, both.1, third] {
            assert!(answer.expect_err("hangs").contains("no answer within 1 s"));
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        release.send(()).expect("a run waits");
        release.send(()).expect("the receiver is alive");
        while probe.run().await.is_err() {}
        assert!((1..=2).contains(&runs.load(Ordering::SeqCst)));
    }

    #[tokio::test]
    async fn each_run_has_a_new_result_and_a_panic_is_an_error() {
        let runs = AtomicUsize::new(0);
        let probe = Probe::new("count", move || match runs.fetch_add(1, Ordering::SeqCst) {
            1 => panic!("on purpose"),
            number => Ok(number),
        });
        assert_eq!(probe.run().await, Ok(0));
        assert!(probe.run().await.expect_err("panics").contains("the check failed"));
        assert_eq!(probe.run().await, Ok(2));
    }
}
