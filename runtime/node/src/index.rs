// SPDX-License-Identifier: Apache-2.0
//! The objects of one kind, by id and by name. Readers take a snapshot. The lock is held for one map operation and never
//! across an await, so a verb that hangs cannot make a list hang.

use crate::error::Result;
use crate::ids::{self, Id};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Objects that an index can hold.
pub trait Indexed {
    /// Marks the ids of these objects.
    type Kind: std::fmt::Debug;

    /// The id, which is unique.
    fn id(&self) -> Id<Self::Kind>;
    /// The client's name for it. Neither the name nor the id ever changes; several objects can share a name.
    ///
    /// - Shapes: each part ends with a NUL, so that the first parts of a name find all objects that share them.
    fn name(&self) -> String;
}

/// Objects by id and name.
#[derive(Debug)]
pub struct Index<T: Indexed> {
    what: &'static str,
    maps: RwLock<Maps<T>>,
}

#[derive(Debug)]
struct Maps<T: Indexed> {
    by_id: BTreeMap<Id<T::Kind>, Arc<T>>,
    /// Names followed by the id.
    by_name: BTreeMap<String, Arc<T>>,
}

impl<T: Indexed> Index<T> {
    /// Makes an empty index; `what` is the word for an object in errors.
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
    pub fn get(&self, id: &Id<T::Kind>) -> Option<Arc<T>> {
        self.read().by_id.get(id).cloned()
    }

    /// The objects whose names begin with `parts`: the beginning of a name, up to the end of a part.
    pub fn named(&self, parts: &str) -> Vec<Arc<T>> {
        let maps = self.read();
        let from = maps.by_name.range(parts.to_owned()..);
        from.take_while(|(name, _)| name.starts_with(parts)).map(|(_, object)| object.clone()).collect()
    }

    /// Adds an object, or replaces the one with the same id and name.
    pub fn insert(&self, object: Arc<T>) {
        let (id, name) = (object.id(), object.name());
        let mut maps = self.write();
        maps.by_name.insert(format!("{name}{id}"), object.clone());
        maps.by_id.insert(id, object);
    }

    /// Removes the object with this id, if any.
    pub fn remove(&self, id: &Id<T::Kind>) {
        let mut maps = self.write();
        if let Some(object) = maps.by_id.remove(id) {
            maps.by_name.remove(&format!("{}{id}", object.name()));
        }
    }

    /// All objects, in the order of their ids.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.read().by_id.values().cloned().collect()
    }

    /// The number of objects.
    pub fn len(&self) -> usize {
        self.read().by_id.len()
    }

    /// Whether the index is empty.
    pub fn is_empty(&self) -> bool {
        self.read().by_id.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Thing(char, &'static str);

    impl Indexed for Thing {
        type Kind = ();

        fn id(&self) -> Id<()> {
            Id::of_digit(self.0)
        }

        fn name(&self) -> String {
            self.1.into()
        }
    }

    #[test]
    fn objects_are_found_by_id_by_name_and_by_the_first_parts_of_a_name() {
        let index = Index::new("thing");
        for (id, name) in [('1', "a\0x\0"), ('2', "a\0y\0"), ('3', "ab\0x\0"), ('4', "a\0x\0")] {
            index.insert(Arc::new(Thing(id, name)));
        }
        let ids = |parts: &str| index.named(parts).iter().map(|thing| thing.0).collect::<String>();
        assert_eq!(ids("a\0"), "142");
        assert_eq!(ids("a\0x\0"), "14");
        assert_eq!(ids("ab\0x\0"), "3");
        index.insert(Arc::new(Thing('1', "a\0x\0")));
        index.remove(&Id::of_digit('4'));
        index.remove(&Id::of_digit('f'));
        assert_eq!((ids("a\0x\0").as_str(), index.len(), index.get(&Id::of_digit('4'))), ("1", 3, None));
    }
}
