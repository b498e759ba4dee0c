// SPDX-License-Identifier: Apache-2.0
//! Shares work that several callers want at the same time, so that it runs only once.
//!
//! The first caller starts it; others with the same key wait for the same result. It runs as long as any caller waits, and
//! is dropped, and so cancelled, with the last one. (The daemon joins its verbs differently: they continue without any
//! caller, see `operations.rs` in `runtime/node`.)

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// A share of work in flight; awaiting it returns the result.
pub type Share<T> = Shared<BoxFuture<'static, T>>;

/// The work itself, which lives as long as anything shares it.
type Work<T> = WeakShared<BoxFuture<'static, T>>;

/// Work in flight by key, with a note `N` for callers that join.
pub struct Flights<K, T: Clone, N> {
    running: Mutex<HashMap<K, (Work<T>, N)>>,
}

/// The result of [`Flights::join`].
pub struct Joined<T: Clone, N> {
    /// The work.
    pub share: Share<T>,
    /// The note of the caller that started the work.
    pub note: N,
    /// Whether this call started it.
    pub is_first: bool,
}

impl<K: Eq + Hash, T: Clone + Send + Sync + 'static, N: Clone> Flights<K, T, N> {
    /// Starts with nothing in flight.
    pub fn new() -> Self {
        Self { running: Mutex::new(HashMap::new()) }
    }

    /// Joins the work for `key`, or starts it.
    pub fn join(&self, key: K, start: impl FnOnce() -> (BoxFuture<'static, T>, N)) -> Joined<T, N> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, (work, _)| work.upgrade().is_some());
        if let Some((work, note)) = running.get(&key)
            && let Some(share) = work.upgrade()
            && share.peek().is_none()
        {
            return Joined { share, note: note.clone(), is_first: false };
        }
        let (work, note) = start();
        let share = work.shared();
        if let Some(weak) = share.downgrade() {
            running.insert(key, (weak, note.clone()));
        }
        Joined { share, note, is_first: true }
    }
}

impl<K, T: Clone, N> std::fmt::Debug for Flights<K, T, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flights")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn counted(count: &Arc<AtomicUsize>) -> (BoxFuture<'static, usize>, ()) {
        let count = Arc::clone(count);
        let work = async move {
            tokio::task::yield_now().await;
            count.fetch_add(1, Ordering::Relaxed) + 1
        };
        (work.boxed(), ())
    }

    #[tokio::test]
    async fn work_is_done_once_for_all_who_wait_and_anew_later() {
        let (flights, count) = (Flights::new(), Arc::new(AtomicUsize::new(0)));
        let joined: Vec<_> = (0..5).map(|_| flights.join("k", || counted(&count))).collect();
        assert_eq!(joined.iter().filter(|j| j.is_first).count(), 1);
        for share in joined {
            assert_eq!(share.share.await, 1);
        }
        assert_eq!(flights.join("k", || counted(&count)).share.await, 2);
        assert_eq!(flights.join("other", || counted(&count)).share.await, 3);
    }

    #[tokio::test]
    async fn work_survives_its_starter_and_ends_with_the_last_one() {
        let (flights, count) = (Flights::new(), Arc::new(AtomicUsize::new(0)));
        let first = flights.join("k", || counted(&count));
        let second = flights.join("k", || counted(&count));
        drop(first);
        assert_eq!(second.share.await, 1);

        let guard = Arc::new(());
        let held = Arc::clone(&guard);
        let only = flights.join("k", move || {
            (
                async move { std::future::pending::<usize>().await + usize::from(Arc::strong_count(&held) > 9) }
                    .boxed(),
                (),
            )
        });
        assert_eq!(Arc::strong_count(&guard), 2);
        drop(only);
        assert_eq!(Arc::strong_count(&guard), 1, "the work was not dropped");
    }
}
