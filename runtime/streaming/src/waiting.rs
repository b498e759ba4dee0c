// SPDX-License-Identifier: Apache-2.0
//! Connections that have not said yet what they want.
//!
//! Anybody on the node can open one, and it lives for ten seconds without a word. A client with a token speaks at
//! once, so it is the oldest that goes when there are too many: a flood of silent ones keeps nobody out and takes no
//! more descriptors than this.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use tokio_util::sync::CancellationToken;

/// Most connections without an answered request.
pub(super) const MOST: usize = 256;

/// The connections that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    next: u64,
    taken: BTreeMap<u64, CancellationToken>,
}

/// One connection's place, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place<'w> {
    waiting: &'w Waiting,
    number: u64,
    evicted: CancellationToken,
}

impl Waiting {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().expect("no panic under this lock")
    }

    /// Takes a place, if need be that of the connection which waits longest.
    pub(super) fn enter(&self) -> Place<'_> {
        let mut places = self.places();
        let (number, evicted) = (places.next, CancellationToken::new());
        places.next += 1;
        places.taken.insert(number, evicted.clone());
        if places.taken.len() > MOST
            && let Some((_, oldest)) = places.taken.pop_first()
        {
            oldest.cancel();
        }
        Place { waiting: self, number, evicted }
    }
}

impl Place<'_> {
    /// Resolves when another connection has got this place.
    pub(super) async fn taken(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.places().taken.remove(&self.number);
    }
}
