// SPDX-License-Identifier: Apache-2.0
//! Connections that have not sent their request yet.
//!
//! Every process on the node can open one, and a silent one lives for ten seconds. A client with a token sends its
//! request at once, so when there are too many, the oldest one goes: a flood of silent connections keeps no client out
//! and takes no more descriptors than this.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

/// Most connections whose request has not been answered.
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

    /// Takes a place. When there is none left, the connection that has waited longest loses its own.
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
    /// Resolves when another connection has been given this place.
    pub(super) async fn taken(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.places().taken.remove(&self.number);
    }
}
