// SPDX-License-Identifier: Apache-2.0
//! Connections that have not sent their request yet.
//!
//! Any process on the node can open one, and a silent one lives for ten seconds. A client with a token sends its
//! request at once, so when there are too many, the oldest one is closed: a flood of silent connections cannot lock
//! clients out, and holds no more descriptors than this limit.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// The most connections whose request has not been answered.
pub(super) const MOST: usize = 256;

/// The waiting connections, oldest first.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    next: u64,
    taken: BTreeMap<u64, CancellationToken>,
}

/// One connection's place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place<'w> {
    waiting: &'w Waiting,
    number: u64,
    evicted: CancellationToken,
}

impl Waiting {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place. If none is free, the connection that has waited longest loses its place.
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
    /// Resolves when this place has been given to another connection.
    pub(super) async fn taken(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.places().taken.remove(&self.number);
    }
}
