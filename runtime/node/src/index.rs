// SPDX-License-Identifier: Apache-2.0
//! The objects of one kind, by id and by name. Readers take a snapshot; the lock is held for a map operation and never
//! across a wait, so that no hung verb can make a list hang.

use crate::error::Result;
use crate::ids;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Objects that an index can hold.
pub trait Indexed {
    /// 64 hex digits, never given out twice.
    fn id(&self) -> String;
    /// What a client calls it. Neither the name nor the id ever changes; several objects can have one name.
    ///
    /// - Shapes: parts that are each ended by a NUL, so that a name's first parts find all objects that share them.
    fn name(&self) -> String;
}

/// Objects by id and name.
#[derive(Debug)]
pub struct Index<T> {
    what: &'static str,
    maps: RwLock<Maps<T>>,
}

#[derive(Debug)]
struct Maps<T> {
    by_id: BTreeMap<String, Arc<T>>,
    /// Names followed by the id.
    by_name: BTreeMap<String, Arc<T>>,
}

impl<T: Indexed> Index<T> {
    /// An empty index of `what`, the word in errors.
    pub fn new(what: &'static str) -> Self {
        Self { what, maps: RwLock::new(Maps { by_id: BTreeMap::new(), by_name: BTreeMap::new() }) }
    }

    fn read(&self) -> RwLockReadGuard<'_, Maps<T>> {
        self.maps.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Maps<T>> {
        self.maps.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object whose id starts with `prefix`.
    ///
    /// # Errors
    /// `NotFound`, and `InvalidArgument` for an empty or ambiguous prefix.
    pub fn find(&self, prefix: &str) -> Result<Arc<T>> {
        let maps = self.read();
        if let Some(exact) = maps.by_id.get(prefix) {
            return Ok(exact.clone());
        }
        let id = ids::resolve(self.what, prefix, maps.by_id.keys())?;
        Ok(maps.by_id[&id].clone())
    }

    /// The object with exactly this id.
    pub fn get(&self, id: &str) -> Option<Arc<T>> {
        self.read().by_id.get(id).cloned()
    }

    /// The objects whose names begin with `parts`, which is the beginning of a name up to the end of a part.
    pub fn named(&self, parts: &str) -> Vec<Arc<T>> {
        let maps = self.read();
        let from = maps.by_name.range(parts.to_owned()..);
        from.take_while(|(name, _)| name.starts_with(parts)).map(|(_, object)| object.clone()).collect()
    }

    /// Adds an object, or puts it in the place of the one with the same id and name.
    pub fn insert(&self, object: Arc<T>) {
        let (id, name) = (object.id(), object.name());
        let mut maps = self.write();
        maps.by_name.insert(format!("{name}{id}"), object.clone());
        maps.by_id.insert(id, object);
    }

    /// Takes away.
    pub fn remove(&self, id: &str) {
        let mut maps = self.write();
        if let Some(object) = maps.by_id.remove(id) {
            maps.by_name.remove(&format!("{}{id}", object.name()));
        }
    }

    /// All, in the order of their ids.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.read().by_id.values().cloned().collect()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.read().by_id.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.read().by_id.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Thing(&'static str, &'static str);

    impl Indexed for Thing {
        fn id(&self) -> String {
            self.0.into()
        }

        fn name(&self) -> String {
            self.1.into()
        }
    }

    #[test]
    fn objects_are_found_by_id_by_name_and_by_the_first_parts_of_a_name() {
        let index = Index::new("thing");
        for (id, name) in [("1", "a\0x\0"), ("2", "a\0y\0"), ("3", "ab\0x\0"), ("4", "a\0x\0")] {
            index.insert(Arc::new(Thing(id, name)));
        }
        let ids = |parts: &str| index.named(parts).iter().map(|thing| thing.0).collect::<Vec<_>>();
        assert_eq!(ids("a\0"), ["1", "4", "2"]);
        assert_eq!(ids("a\0x\0"), ["1", "4"]);
        assert_eq!(ids("ab\0x\0"), ["3"]);
        index.insert(Arc::new(Thing("1", "a\0x\0")));
        index.remove("4");
        index.remove("none");
        assert_eq!((ids("a\0x\0"), index.len(), index.get("4")), (vec!["1"], 3, None));
    }
}
