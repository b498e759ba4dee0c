// SPDX-License-Identifier: Apache-2.0
//! Errors that name the place in the profile.

use crate::error::Error;

pub(super) fn invalid(place: impl Into<String>, why: impl Into<String>) -> Error {
    Error::Invalid { place: place.into(), why: why.into() }
}

/// At most 64 characters of a word from the profile, for an error message.
pub(super) fn shown(word: &str) -> String {
    format!("{:?}", word.chars().take(64).collect::<String>())
}
