// SPDX-License-Identifier: Apache-2.0
//! Reads what a plugin printed.

use serde_json::Value;

/// Largest result, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// Reads what a plugin printed. Nothing and `null` are results without anything in them.
///
/// # Errors
/// A sentence: it is not a JSON object.
pub fn read(stdout: &[u8]) -> Result<Value, String> {
    if stdout.trim_ascii().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    match serde_json::from_slice(stdout) {
        Ok(Value::Null) => Ok(Value::Object(serde_json::Map::new())),
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err("it is not a JSON object".to_owned()),
        Err(e) => {
            Err(format!("it is not JSON (line {}, column {}): {}", e.line(), e.column(), crate::answer::words(stdout)))
        }
    }
}
