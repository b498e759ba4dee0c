// SPDX-License-Identifier: Apache-2.0
//! Objects of a form that has no null: what is absent is left out.

use serde_json::{Map, Value};

/// An object of those entries that are not null.
pub(super) fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let there = entries.into_iter().filter(|(_, value)| !value.is_null());
    there.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>().into()
}
