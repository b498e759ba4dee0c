// SPDX-License-Identifier: Apache-2.0
//! Ids of pods and containers: 64 lower-case hex digits, and how a client may shorten them.

use crate::error::{Error, Result};
use std::io::Read;

/// Length of an id in characters.
pub const ID_LENGTH: usize = 64;

/// Makes a new random id from the kernel's generator.
///
/// # Errors
/// `Internal` when `/dev/urandom` cannot be read.
pub fn generate() -> Result<String> {
    let mut bytes = [0u8; ID_LENGTH / 2];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut f| f.read_exact(&mut bytes))
        .map_err(|e| Error::internal(format!("read /dev/urandom: {e}")))?;
    Ok(hex::encode(bytes))
}

/// True when `name` has the form of an id. Directory names below the root are ids or are not ours.
pub fn is_id(name: &str) -> bool {
    name.len() == ID_LENGTH && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The form that people see in logs and that interface names are made of.
pub fn short(id: &str) -> &str {
    id.get(..13).unwrap_or(id)
}

/// Finds the one id that starts with `prefix`.
///
/// # Errors
/// `InvalidArgument` for an empty prefix and for one that fits several; `NotFound` for none.
pub fn resolve<'a>(what: &str, prefix: &str, ids: impl Iterator<Item = &'a String>) -> Result<String> {
    if prefix.is_empty() {
        return Err(Error::invalid(format!("{what} id is empty")));
    }
    let mut found: Option<&String> = None;
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
        let (a, b) = (generate().expect("urandom"), generate().expect("urandom"));
        assert!(is_id(&a) && is_id(&b) && a != b);
    }

    #[test]
    fn a_prefix_finds_its_one_id_and_never_guesses() {
        let ids = ["aa11".to_owned(), "aa22".to_owned(), "bb33".to_owned()];
        assert_eq!(resolve("pod", "b", ids.iter()).expect("unique"), "bb33");
        assert_eq!(resolve("pod", "aa11", ids.iter()).expect("whole"), "aa11");
        assert_eq!(resolve("pod", "aa", ids.iter()).expect_err("two").kind(), Kind::InvalidArgument);
        assert_eq!(resolve("pod", "cc", ids.iter()).expect_err("none").kind(), Kind::NotFound);
        assert_eq!(resolve("pod", "", ids.iter()).expect_err("empty").kind(), Kind::InvalidArgument);
    }

    #[test]
    fn names_that_could_leave_the_directory_are_no_ids() {
        for name in ["..", "", "record", &"A".repeat(64), &"a".repeat(63), &format!("{}/", "a".repeat(63))] {
            assert!(!is_id(name), "{name}");
        }
    }
}
