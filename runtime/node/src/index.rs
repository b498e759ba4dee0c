// SPDX-License-Identifier: Apache-2.0
//! The objects of one kind by id. Readers take a snapshot; the lock is held for a map operation and never across a
//! wait, so that no hung verb can make a list hang.

use crate::error::Result;
use crate::ids;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Objects by id.
#[derive(Debug)]
pub struct Index<T> {
    what: &'static str,
    map: RwLock<BTreeMap<String, Arc<T>>>,
}

impl<T> Index<T> {
    /// An empty index of `what`, the word in errors.
    pub fn new(what: &'static str) -> Self {
        Self { what, map: RwLock::default() }
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<T>>> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<T>>> {
        self.map.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object whose id starts with `prefix`.
    ///
    /// # Errors
    /// `NotFound`, and `InvalidArgument` for an empty or ambiguous prefix.
    pub fn find(&self, prefix: &str) -> Result<Arc<T>> {
        let map = self.read();
        if let Some(exact) = map.get(prefix) {
            return Ok(exact.clone());
        }
        let id = ids::resolve(self.what, prefix, map.keys())?;
        Ok(map[&id].clone())
    }

    /// The object with exactly this id.
    pub fn get(&self, id: &str) -> Option<Arc<T>> {
        self.read().get(id).cloned()
    }

    /// Adds or replaces.
    pub fn insert(&self, id: String, object: Arc<T>) {
        self.write().insert(id, object);
    }

    /// Takes away.
    pub fn remove(&self, id: &str) {
        self.write().remove(id);
    }

    /// All, in the order of their ids.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.read().values().cloned().collect()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }
}
