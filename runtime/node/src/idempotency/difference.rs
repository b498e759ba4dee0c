// SPDX-License-Identifier: Apache-2.0
//! Finds where two messages differ.

use serde_json::Value;
use std::collections::BTreeSet;

/// The name of the first field that differs; `None` when none does. It never shows the content of the field.
pub fn difference(made: &Value, asked: &Value) -> Option<String> {
    let below = |name: String, a: &Value, b: &Value| {
        difference(a, b).map(|rest| match rest.starts_with('[') || rest.is_empty() {
            true => name + &rest,
            false => format!("{name}.{rest}"),
        })
    };
    match (made, asked) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| {
                let (a, b) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                below(name(key), a, b)
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(at, (a, b))| below(format!("[{at}]"), a, b))
        }
        _ => (made != asked).then(String::new),
    }
}

/// A field's name unchanged; a key of a map, which the client has chosen, in quotes.
fn name(key: &str) -> String {
    let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { key.to_owned() } else { format!("[{key:?}]") }
}
