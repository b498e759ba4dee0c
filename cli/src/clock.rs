// SPDX-License-Identifier: Apache-2.0
//! The machine's clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// The current time in nanoseconds since 1970-01-01 UTC; 0 when the clock is set to an earlier time.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
