// SPDX-License-Identifier: Apache-2.0
//! Wall clock in the unit that the CRI and our records use.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970; 1 at least, because the CRI's clients take 0 for "not set".
pub fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX).max(1)
}
