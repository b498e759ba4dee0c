// SPDX-License-Identifier: Apache-2.0
//! The wall clock, in the unit of the CRI and our records.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970; at least 1, because CRI clients take 0 to mean "not set".
pub fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX).max(1)
}
