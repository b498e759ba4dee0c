// SPDX-License-Identifier: Apache-2.0
//! An invalid field of a request, by its name in the request: `mounts[2].destination`.
//!
//! The checks of a message know only its own fields; the check of the enclosing message adds the path to it. So a name
//! is only built when there is an error to report.

use crate::failure::{self, Failure, Kind};
use std::ffi::CString;
use std::fmt::Display;

/// The invalid field, and why it is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    field: String,
    why: String,
}

/// A checked value, or the error.
pub type Result<T> = std::result::Result<T, Malformed>;

impl Malformed {
    /// `why` completes the sentence that begins with the field.
    pub fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self { field: field.into(), why: why.into() }
    }

    /// Moves the error into the field `outer` of the enclosing message; an empty name means that field itself.
    #[must_use]
    pub fn within(self, outer: impl Display) -> Self {
        let field = if self.field.is_empty() { outer.to_string() } else { format!("{outer}.{}", self.field) };
        Self { field, ..self }
    }
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        failure::refused(Kind::InvalidArgument, "check request", malformed.field, &malformed.why)
    }
}

/// Returns a value that must be set.
///
/// # Errors
/// When it is not set.
pub fn required<T>(field: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Malformed::new(field, "is missing"))
}

/// Checks that a path is absolute.
///
/// # Errors
/// For any other text, and for a path with a NUL.
pub fn absolute(field: &str, path: String) -> Result<String> {
    if !path.starts_with('/') || path.contains('\0') {
        return Err(Malformed::new(field, format!("{path:?} is not an absolute path")));
    }
    Ok(path)
}

/// Converts bytes to a string for the kernel.
///
/// # Errors
/// For bytes with a NUL among them.
pub fn c_string(field: &str, bytes: Vec<u8>) -> Result<CString> {
    CString::new(bytes).map_err(|_| Malformed::new(field, "contains a NUL byte"))
}

/// Checks every element of a list; the name of an invalid one gets its index.
///
/// # Errors
/// The first invalid element.
pub fn each<T, U>(field: &str, list: Vec<T>, check: impl Fn(T) -> Result<U>) -> Result<Vec<U>> {
    let one = |(n, element)| check(element).map_err(|wrong| wrong.within(format!("{field}[{n}]")));
    list.into_iter().enumerate().map(one).collect()
}

/// Checks a command line: at least one word, the first not empty.
///
/// # Errors
/// For an empty command, and for a word with a NUL.
pub fn arguments(args: Vec<Vec<u8>>) -> Result<Vec<CString>> {
    if args.first().is_none_or(Vec::is_empty) {
        return Err(Malformed::new("args", "there is no command"));
    }
    each("args", args, |word| c_string("", word))
}

/// `None` for an empty text.
pub fn non_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_element_is_named_with_the_way_to_it() {
        let paths = vec!["/a".to_owned(), "b".to_owned()];
        let wrong = each("paths", paths, |path| absolute("", path)).unwrap_err().within("mounts[3]");
        let failure = Failure::from(wrong);
        assert_eq!(failure.message, "check request mounts[3].paths[1]: \"b\" is not an absolute path");
        assert_eq!((failure.kind(), failure.object.as_str()), (Kind::InvalidArgument, "mounts[3].paths[1]"));
    }

    #[test]
    fn a_command_has_a_first_word_and_no_nul() {
        let words = |words: &[&[u8]]| arguments(words.iter().map(|word| word.to_vec()).collect());
        assert_eq!(words(&[b"a", b""]).unwrap(), [c"a".to_owned(), c"".to_owned()]);
        for wrong in [vec![], vec![&b""[..]], vec![b"a", b"b\0c"]] {
            assert!(words(&wrong).is_err(), "{wrong:?}");
        }
    }
}
