// SPDX-License-Identifier: Apache-2.0
//! One operation per identity: a repeated request joins the one in flight and gets its result.
//!
//! The operation runs in its own task, so a client that goes away does not stop it half-way: in the end it is either done
//! or undone. (The image service joins pulls in another way: a pull ends when its last client is gone.)

use crate::error::{Error, Result};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::Instrument;

/// The result of an operation, for every request that waits for it.
pub type Outcome<T> = Shared<BoxFuture<'static, Result<T>>>;

/// Operations in flight, by identity; each results in a `T`, such as an id.
#[derive(Clone)]
pub struct Operations<T> {
    running: Arc<Mutex<HashMap<String, Outcome<T>>>>,
}

impl<T> Default for Operations<T> {
    fn default() -> Self {
        Self { running: Arc::default() }
    }
}

impl<T> std::fmt::Debug for Operations<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operations").field("running", &self.count()).finish()
    }
}

/// An operation in flight; awaiting it gives its result.
#[derive(Debug)]
pub struct InFlight<T: Clone> {
    outcome: Outcome<T>,
    joined: bool,
}

impl<T: Clone> InFlight<T> {
    /// Whether another request began it: that request may differ from the caller's.
    pub fn joined(&self) -> bool {
        self.joined
    }
}

impl<T: Clone> IntoFuture for InFlight<T> {
    type Output = Result<T>;
    type IntoFuture = Outcome<T>;

    fn into_future(self) -> Outcome<T> {
        self.outcome
    }
}

impl<T> Operations<T> {
    /// The number of operations in flight.
    pub fn count(&self) -> usize {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl<T: Clone + Send + Sync + 'static> Operations<T> {
    /// Runs `work` under `key`, or joins the operation in flight under it. It runs from now on, even if nobody awaits the
    /// result.
    ///
    /// - Cancel: the work continues.
    ///
    /// # Errors
    /// The errors of the work; `Internal` when it panicked.
    pub fn run<F>(&self, key: String, work: F) -> InFlight<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = running.get(&key) {
            return InFlight { outcome: outcome.clone(), joined: true };
        }
        let (all, name) = (self.running.clone(), key.clone());
        // Wrapped before the async block, whose state has room for both what it captures and what it awaits.
        let work = std::panic::AssertUnwindSafe(work).catch_unwind();
        // Its log lines belong to the call that began it.
        let task = tokio::spawn(
            async move {
                let result = work.await;
                all.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
                result.unwrap_or_else(|_| Err(Error::internal("the operation panicked; see the daemon's log")))
            }
            .in_current_span(),
        );
        let outcome = task
            .map(|joined| joined.unwrap_or_else(|e| Err(Error::internal(format!("operation: {e}")))))
            .boxed()
            .shared();
        running.insert(key, outcome.clone());
        InFlight { outcome, joined: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn a_repeat_joins_and_gets_the_same_result() {
        let (operations, runs) = (Operations::default(), Arc::new(AtomicU32::new(0)));
        let work = || {
            let runs = runs.clone();
            async move {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                Ok(format!("run {}", runs.fetch_add(1, Ordering::SeqCst)))
            }
        };
        let (first, second) = (operations.run("k".into(), work()), operations.run("k".into(), work()));
        assert_eq!((first.joined(), second.joined()), (false, true));
        let (a, b) = tokio::join!(first.into_future(), second.into_future());
        assert_eq!((a.expect("ran"), b.expect("joined")), ("run 0".into(), "run 0".into()));
        assert_eq!(operations.run("k".into(), work()).await.expect("a new one"), "run 1");
        assert_eq!(operations.count(), 0);
    }

    #[tokio::test]
    async fn the_work_goes_on_when_the_client_leaves() {
        let (operations, done) = (Operations::default(), Arc::new(AtomicU32::new(0)));
        let flag = done.clone();
        let call = operations.run("k".into(), async move {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            flag.store(1, Ordering::SeqCst);
            Ok(())
        });
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), call).await.is_err());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }
}
