// SPDX-License-Identifier: Apache-2.0
//! Ids of pods and containers: 64 lower-case hex digits, which a client may shorten.
//!
//! The two have separate types, so that one is never mistaken for the other. A client's id may be shortened, and stays
//! text until [`resolve`] has found the object that it means.
//!
//! ```compile_fail
//! # use gorae_node::{ids::ContainerId, objects::Objects};
//! # fn example(objects: &Objects, container_id: &ContainerId) {
//! objects.pods.get(container_id);
//! # }
//! ```

use crate::error::{Error, Result};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::Read;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

/// Length of an id in characters.
const ID_LENGTH: usize = 64;

/// The id of a pod.
pub type PodId = Id<OfPod>;
/// The id of a container.
pub type ContainerId = Id<OfContainer>;

/// Marks the ids of pods.
#[derive(Debug)]
pub enum OfPod {}

/// Marks the ids of containers.
#[derive(Debug)]
pub enum OfContainer {}

/// The id of one kind of object; a clone shares the text.
///
/// - Shapes: 64 lower-case hex digits, from [`Id::generate`] and [`Id::parse`]. Records hold ids as plain text, which is
///   not checked here: the start compares it with the name of the record's directory.
pub struct Id<K> {
    text: Arc<str>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Id<K> {
    /// Makes a new random id from the kernel's generator.
    ///
    /// # Errors
    /// `Internal` when `/dev/urandom` cannot be read.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0u8; ID_LENGTH / 2];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut f| f.read_exact(&mut bytes))
            .map_err(|e| Error::internal(format!("read /dev/urandom: {e}")))?;
        Ok(Self::of_text(&hex::encode(bytes)))
    }

    /// Parses a name as an id; `None` for any other name. Directories below the root are named after ids, or are not ours.
    pub fn parse(name: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (name.len() == ID_LENGTH && name.bytes().all(is_digit)).then(|| Self::of_text(name))
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn of_text(text: &str) -> Self {
        Self { text: text.into(), kind: PhantomData }
    }

    /// An id of 64 equal digits.
    #[cfg(test)]
    pub(crate) fn of_digit(digit: char) -> Self {
        Self::parse(&digit.to_string().repeat(ID_LENGTH)).expect("a hex digit")
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), kind: PhantomData }
    }
}

impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<K> Eq for Id<K> {}

impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// Maps by id can be queried by text, which compares and hashes as the id does.
impl<K> Borrow<str> for Id<K> {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl<K> Deref for Id<K> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de, K> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("an id has 64 hex digits"))
    }
}

/// The short form that is used in logs and in interface names.
pub fn short(id: &str) -> &str {
    id.get(..13).unwrap_or(id)
}

/// Finds the one id that starts with `prefix`.
///
/// # Errors
/// `InvalidArgument` for an empty prefix and for one that matches several; `NotFound` for one that matches none.
pub fn resolve<'a, K: 'a>(what: &str, prefix: &str, ids: impl Iterator<Item = &'a Id<K>>) -> Result<Id<K>> {
    if prefix.is_empty() {
        return Err(Error::invalid(format!("{what} id is empty")));
    }
    let mut found: Option<&Id<K>> = None;
    for id in ids.filter(|id| id.starts_with(prefix)) {
        if found.is_some() {
            return Err(Error::invalid(format!("{what} id {prefix:?} is ambiguous: give more of its digits")));
        }
        found = Some(id);
    }
    found.cloned().ok_or_else(|| Error::not_found(format!("{what} {prefix:?} does not exist")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn generated_ids_have_the_form_and_differ() {
        let (a, b) = (PodId::generate().expect("urandom"), PodId::generate().expect("urandom"));
        assert_eq!(PodId::parse(&a).as_ref(), Some(&a));
        assert_ne!(a, b);
    }

    #[test]
    fn a_prefix_finds_its_one_id_and_never_guesses() {
        let ids = ["aa11", "aa22", "bb33"].map(PodId::of_text);
        assert_eq!(resolve("pod", "b", ids.iter()).expect("unique").as_str(), "bb33");
        assert_eq!(resolve("pod", "aa11", ids.iter()).expect("whole").as_str(), "aa11");
        assert_eq!(resolve("pod", "aa", ids.iter()).expect_err("two").kind(), Kind::InvalidArgument);
        assert_eq!(resolve("pod", "cc", ids.iter()).expect_err("none").kind(), Kind::NotFound);
        assert_eq!(resolve("pod", "", ids.iter()).expect_err("empty").kind(), Kind::InvalidArgument);
    }

    #[test]
    fn names_that_could_leave_the_directory_are_not_ids() {
        for name in ["..", "", "record", &"A".repeat(64), &"a".repeat(63), &format!("{}/", "a".repeat(63))] {
            assert_eq!(PodId::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_record_holds_an_id_as_plain_text() {
        let id = ContainerId::of_digit('c');
        let text = serde_json::to_string(&id).expect("text");
        assert_eq!(text, format!("{:?}", "c".repeat(64)));
        assert_eq!(serde_json::from_str::<ContainerId>(&text).expect("an id"), id);
    }
}
