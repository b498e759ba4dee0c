// SPDX-License-Identifier: Apache-2.0
//! JSON objects without nulls: absent values are left out.

use serde_json::{Map, Value};

/// Makes an object of the entries that are not null.
pub(super) fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let there = entries.into_iter().filter(|(_, value)| !value.is_null());
    there.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>().into()
}
