// SPDX-License-Identifier: Apache-2.0
//! How long to wait before a DEL is tried again.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// The pause after so many tries in a row that failed: doubled each time, up to five minutes.
pub fn pause(failed: u32) -> Duration {
    let factor = 1u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST.saturating_mul(factor).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_five_minutes() {
        let seconds: Vec<u64> = [0, 1, 2, 3, 9, 10, 33, 1000].map(|n| pause(n).as_secs()).into();
        assert_eq!(seconds, [1, 1, 2, 4, 256, 300, 300, 300]);
    }
}
