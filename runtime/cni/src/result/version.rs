// SPDX-License-Identifier: Apache-2.0
//! The version that a result is of.

use crate::version::Version;
use serde_json::Value;

/// The version of a result: its own, else that of the list whose plugin gave it.
pub(super) fn version(result: &Value, list: Version) -> Result<Version, String> {
    match result.get("cniVersion") {
        None | Some(Value::Null) => Ok(list),
        Some(Value::String(text)) if text.is_empty() => Ok(list),
        Some(Value::String(text)) => text.parse().map_err(|_| format!("its version {text:?} is not one that is known")),
        Some(_) => Err("its version is not a string".to_owned()),
    }
}
