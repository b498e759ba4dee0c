// SPDX-License-Identifier: Apache-2.0
//! Durations in Go's notation: `1m30s`, `1.5h`, `250ms`. Pure.

use std::time::Duration;

/// The units, in nanoseconds.
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];
/// Go's longest duration: 2^63 nanoseconds.
const LONGEST: f64 = 9.2e18;

/// Parses a duration; `None` for text that is not a duration, and for a negative one.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut nanoseconds) = (text, 0.0);
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, next) = after.split_at(after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len()));
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        if number.is_empty() {
            return None;
        }
        nanoseconds += number.parse::<f64>().ok()? * factor;
        rest = next;
    }
    (!text.is_empty() && nanoseconds <= LONGEST).then(|| Duration::from_nanos(nanoseconds as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_go_writes_is_read() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("1s", 1000),
            ("+200ms", 200),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("1.s", 1000),
            ("2000us", 2),
            ("2000µs", 2),
            ("2000μs", 2),
            ("3000000ns", 3),
            ("1h0m0.25s", 3_600_250),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for bad in ["", "+", "1", "s", ".s", "1x", "1 s", "-1s", "1.2.3s", "1s1", "1e3s", "inf", "9999999999h", "ms1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
