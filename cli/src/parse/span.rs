// SPDX-License-Identifier: Apache-2.0
//! Spans of time: `1h30m` as people type it, "3 minutes" as they read it.

use crate::parse::timestamp::{NANOS, digits};
use anyhow::{Context, Result, bail, ensure};

/// Reads a span such as `1h30m`: decimal numbers, each with its unit (`d`, `h`, `m`, `s`, `ms`, `us`, `ns`). The result is
/// in nanoseconds.
///
/// # Errors
/// When a number or a unit is missing or unknown, or the span is too long.
pub fn span(text: &str) -> Result<i64> {
    ensure!(!text.is_empty(), "it is empty");
    let (mut rest, mut total) = (text, 0_i64);
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len()));
        ensure!(!number.is_empty(), "a number is missing");
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len()));
        let nanos = match unit {
            "d" => 86_400 * NANOS,
            "h" => 3600 * NANOS,
            "m" => 60 * NANOS,
            "s" => NANOS,
            "ms" => NANOS / 1000,
            "us" | "µs" => 1000,
            "ns" => 1,
            "" => bail!("a number has no unit"),
            _ => bail!("unknown unit {unit:?}"),
        };
        total = times(number, nanos)
            .and_then(|part| total.checked_add(part))
            .with_context(|| format!("{number:?} is not a number, or is too large"))?;
        rest = after;
    }
    Ok(total)
}

/// A decimal number of units of `unit` nanoseconds each, rounded down to whole nanoseconds.
fn times(number: &str, unit: i64) -> Option<i64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let part = part.get(..18).unwrap_or(part);
    let scale = 10_i64.pow(u32::try_from(part.len()).ok()?);
    let (whole, part) =
        (digits(if whole.is_empty() { "0" } else { whole })?, digits(if part.is_empty() { "0" } else { part })?);
    let part = i128::from(part) * i128::from(unit) / i128::from(scale);
    whole.checked_mul(unit)?.checked_add(i64::try_from(part).ok()?)
}

/// Formats a span of nanoseconds in its largest sensible unit: "5 seconds", "2 hours".
pub fn words(nanos: i64) -> String {
    let seconds = (nanos / NANOS).max(0);
    let (number, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        172_800..1_209_600 => (seconds / 86_400, "day"),
        1_209_600..63_072_000 => (seconds / 604_800, "week"),
        _ => (seconds / 31_536_000, "year"),
    };
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_numbers_with_units() {
        assert_eq!(span("1us5ns").expect("span"), 1005);
        for text in
            ["", "10", "m", "10x", "1h30", "-5m", "99999999999d", "1.2.3h", ".h", "1.h.", "h1", "1 h", "٣m", "1,5h"]
        {
            assert!(span(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn spans_are_shown_in_one_unit() {
        let rows = [(0, "0 seconds"), (1, "1 second"), (119, "119 seconds"), (120, "2 minutes"), (7200, "2 hours")];
        for (seconds, said) in
            rows.into_iter().chain([(172_800, "2 days"), (1_209_600, "2 weeks"), (63_072_000, "2 years")])
        {
            assert_eq!(words(seconds * NANOS), said);
        }
        assert_eq!(words(-5), "0 seconds");
    }
}
