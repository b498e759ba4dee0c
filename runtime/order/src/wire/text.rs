// SPDX-License-Identifier: Apache-2.0
//! Texts and paths. The wire has no word for an absent text.

use std::path::PathBuf;

/// Writes an optional text. The wire encodes an absent text as an empty one.
pub(super) fn text(value: Option<impl Into<String>>) -> String {
    value.map_or_else(String::new, Into::into)
}

pub(super) fn paths(list: &[PathBuf]) -> Vec<String> {
    list.iter().map(|path| path.to_string_lossy().into_owned()).collect()
}
