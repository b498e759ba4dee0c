// SPDX-License-Identifier: Apache-2.0
//! Reads what a plugin printed.

use serde_json::Value;

/// Largest result, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// Reads what a plugin printed. `null` is a result without anything in it.
///
/// # Errors
/// A sentence: there is nothing, or it is not a JSON object.
pub fn read(stdout: &[u8]) -> Result<Value, String> {
    if stdout.trim_ascii().is_empty() {
        return Err("it printed nothing".to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_not_a_result_and_null_is_an_empty_one() {
        assert_eq!(read(b" \n"), Err("it printed nothing".to_owned()));
        assert_eq!(read(b"null"), Ok(Value::Object(serde_json::Map::new())));
        assert!(read(b"[]").is_err() && read(b"{").is_err());
    }
}
