// SPDX-License-Identifier: Apache-2.0
//! The disk usage of containers' writable layers: a cached walk.
//!
//! ```text
//! first request      a small layer is counted at once; a larger one is "unknown" and is queued
//! within 10 s        the cached count
//! later              the cached count, and the layer is queued
//! ```
//!
//! A thread works through the queue and ends with it, so nothing runs when there are no requests. A layer that took
//! long to count is left alone for ten times as long, so counting never takes more than a tenth of one processor.

use super::walk::{Taken, count};
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a count stays fresh.
const FRESH: Duration = Duration::from_secs(10);
/// Most entries that the requesting thread counts itself; that takes about 0.3 ms.
const SMALL: u64 = 200;
/// Most entries that are counted at all.
const LARGEST: u64 = 50_000_000;

/// The last count of each layer.
#[derive(Debug, Default, Clone)]
pub(super) struct Layers(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    known: HashMap<PathBuf, Count>,
    queued: HashSet<PathBuf>,
    queue: VecDeque<PathBuf>,
    working: bool,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    /// `None` if it could not be counted.
    taken: Option<Taken>,
    at_ns: i64,
    stale: Instant,
}

impl Count {
    fn of(layer: &Path, most: u64) -> Self {
        let start = Instant::now();
        let taken = count(layer, most);
        let end = Instant::now();
        Self { taken, at_ns: gorae_kernel::clock::now_ns(), stale: end + FRESH.max((end - start) * 10) }
    }
}

impl Layers {
    /// Returns a layer's usage and when it was counted, in nanoseconds of the wall clock; `None` while it is unknown.
    pub(super) fn taken(&self, layer: &Path) -> Option<(Taken, i64)> {
        let known = self.counts().known.get(layer).copied();
        let known = known.unwrap_or_else(|| {
            let counted = Count::of(layer, SMALL);
            if counted.taken.is_some() {
                self.counts().known.insert(layer.to_owned(), counted);
                return counted;
            }
            Count { stale: Instant::now(), ..counted }
        });
        if known.stale <= Instant::now() {
            self.queue(layer);
        }
        Some((known.taken?, known.at_ns))
    }

    /// Drops the count of a layer that is gone.
    pub(super) fn forget(&self, layer: &Path) {
        self.counts().known.remove(layer);
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self, layer: &Path) {
        let mut counts = self.counts();
        if counts.queued.insert(layer.to_owned()) {
            counts.queue.push_back(layer.to_owned());
        }
        if !counts.working {
            let layers = self.clone();
            let thread = std::thread::Builder::new().name("layer-usage".into()).stack_size(256 << 10);
            // If no thread can be started (EAGAIN), the queue waits for the next request.
            counts.working = thread.spawn(move || layers.work()).is_ok();
        }
    }

    fn work(&self) {
        loop {
            let layer = {
                let mut counts = self.counts();
                match counts.queue.pop_front() {
                    Some(layer) => layer,
                    None => {
                        counts.working = false;
                        return;
                    }
                }
            };
            let counted = Count::of(&layer, LARGEST);
            let mut counts = self.counts();
            counts.queued.remove(&layer);
            // The count of a layer that is gone is not kept, because nothing would ever drop it.
            if counted.taken.is_some() || layer.exists() {
                counts.known.insert(layer, counted);
            } else {
                counts.known.remove(&layer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eventually(layers: &Layers, layer: &Path, inodes: u64) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while layers.taken(layer).map(|(taken, _)| taken.inodes) != Some(inodes) {
            assert!(Instant::now() < deadline, "no count of {inodes} inodes: {:?}", layers.taken(layer));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_small_layer_is_known_at_the_first_ask_and_the_answer_is_kept() {
        let top = tempfile::tempdir().unwrap();
        let layers = Layers::default();
        assert_eq!(layers.taken(top.path()).unwrap().0.inodes, 1);
        std::fs::write(top.path().join("new"), "").unwrap();
        assert_eq!(layers.taken(top.path()).unwrap().0.inodes, 1, "not counted again within 10 s");
        layers.forget(top.path());
        assert_eq!(layers.taken(top.path()).unwrap().0.inodes, 2);
    }

    #[test]
    fn a_large_layer_is_counted_in_the_background_by_a_thread_that_ends() {
        let top = tempfile::tempdir().unwrap();
        (0..SMALL + 50).for_each(|at| std::fs::write(top.path().join(at.to_string()), "").unwrap());
        let layers = Layers::default();
        assert_eq!(layers.taken(top.path()), None);
        eventually(&layers, top.path(), SMALL + 51);
        let deadline = Instant::now() + Duration::from_secs(5);
        while layers.counts().working {
            assert!(Instant::now() < deadline, "the thread does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn an_old_count_is_given_once_more_while_it_is_renewed() {
        let top = tempfile::tempdir().unwrap();
        let layers = Layers::default();
        layers.taken(top.path());
        std::fs::write(top.path().join("new"), "").unwrap();
        layers.counts().known.get_mut(top.path()).unwrap().stale = Instant::now();
        assert_eq!(layers.taken(top.path()).unwrap().0.inodes, 1);
        eventually(&layers, top.path(), 2);
    }

    #[test]
    fn a_layer_that_is_gone_is_unknown_and_leaves_nothing() {
        let layers = Layers::default();
        assert_eq!(layers.taken(Path::new("/nonexistent/upper")), None);
        std::thread::sleep(Duration::from_millis(50));
        assert!(layers.counts().known.is_empty());
    }
}
