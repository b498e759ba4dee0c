// SPDX-License-Identifier: Apache-2.0
//! Points in time and spans: RFC 3339 times as in logs, `--since 10m`, "3 minutes ago".

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use jiff::tz::TimeZone;

const NANOS: i64 = 1_000_000_000;

/// Reads an RFC 3339 time with at most nine fraction digits, and gives it in nanoseconds since 1970-01-01 UTC.
///
/// `None` when the text has another form, or the year is not between 1970 and 2261.
pub fn timestamp(text: &str) -> Option<i64> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let bytes = date_time.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|&(at, mark)| bytes[at] != mark) {
        return None;
    }
    let part = |from: usize, to: usize| digits(&date_time[from..to]);
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    if !(1970..=2261).contains(&year) || !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanos, zone) = fraction(rest)?;
    let seconds = days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset(zone)?;
    seconds.checked_mul(NANOS)?.checked_add(nanos)
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The nanoseconds of a fraction such as `.123`, and the text after it.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let len = rest.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=9).contains(&len) {
        return None;
    }
    let nanos: i64 = rest[..len].parse().ok()?;
    Some((nanos * 10_i64.pow(9 - len as u32), &rest[len..]))
}

/// How many seconds a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The number of days from 1970-01-01 to a date.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let leaps = |before: i64| (before - 1) / 4 - (before - 1) / 100 + (before - 1) / 400;
    let years = (year - 1970) * 365 + leaps(year) - leaps(1970);
    years + (1..month).map(|m| days_in(year, m)).sum::<i64>() + day - 1
}

/// Formats nanoseconds since 1970 as RFC 3339 in UTC, with whole seconds. The text is empty for 0, which means "not yet" in
/// the CRI.
pub fn show(nanos: i64) -> String {
    if nanos <= 0 {
        return String::new();
    }
    let seconds = nanos / NANOS;
    let (mut days, clock) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    while days >= 365 + i64::from(leap(year)) {
        days -= 365 + i64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    while days >= days_in(year, month) {
        days -= days_in(year, month);
        month += 1;
    }
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}

/// Reads `--since` as Docker does: a date or a time, with its own zone or else in `zone`; seconds since 1970; or a span
/// before `now`, such as `90s`, `1.5h`, `1h30m`, `2d`. Both `now` and the result are in nanoseconds since 1970.
///
/// # Errors
/// When the text has none of these forms.
pub fn since(text: &str, now: i64, zone: &TimeZone) -> Result<i64> {
    if let Some(moment) = date(text, zone).or_else(|| unix_seconds(text)) {
        return Ok(moment);
    }
    let span = span(text).with_context(|| {
        format!(
            "bad time {text:?}: the form is 2026-11-21, 2026-11-21T06:00, 2026-11-21T06:00:00.5+01:00, seconds since \
             1970, or 10m, 1.5h, 1h30m, 2d"
        )
    })?;
    Ok(now.saturating_sub(span))
}

/// Reads a date, an optional time (hour; minute; second; fraction, each optional after the one before), and an optional
/// zone.
fn date(text: &str, zone: &TimeZone) -> Option<i64> {
    let (moment, offset) = match text.rfind(['Z', '+', '-']) {
        // The first two hyphens belong to the date, a third one to the zone.
        Some(at) if !text[at..].starts_with('-') || text.matches('-').count() == 3 => text.split_at(at),
        _ => (text, ""),
    };
    let (whole, fraction) = moment.split_at(moment.find('.').unwrap_or(moment.len()));
    let missing = match (whole.len(), fraction.is_empty()) {
        (10, true) => "T00:00:00",
        (13, true) => ":00:00",
        (16, true) => ":00",
        (19, _) => "",
        _ => return None,
    };
    let full = format!("{whole}{missing}{fraction}");
    if !offset.is_empty() {
        return timestamp(&(full + offset));
    }
    let of_utc = Timestamp::from_nanosecond(timestamp(&(full + "Z"))?.into()).ok()?;
    let here = of_utc.to_zoned(TimeZone::UTC).datetime().to_zoned(zone.clone()).ok()?;
    i64::try_from(here.timestamp().as_nanosecond()).ok()
}

/// Reads seconds since 1970, with an optional fraction.
fn unix_seconds(text: &str) -> Option<i64> {
    let (seconds, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (nanos, rest) = fraction(rest)?;
    let seconds = digits(seconds).filter(|_| rest.is_empty() && !seconds.is_empty())?;
    seconds.checked_mul(NANOS)?.checked_add(nanos)
}

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
    fn times_are_read_to_the_nanosecond_in_every_zone() {
        let rows = [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.000000001Z", 1),
            ("2026-11-21T06:15:52.5Z", 1_795_241_752_500_000_000),
            ("2026-11-21T07:15:52.5+01:00", 1_795_241_752_500_000_000),
            ("2026-11-20T20:15:52.500000000-10:00", 1_795_241_752_500_000_000),
            ("2024-02-29T23:59:59Z", 1_709_251_199_000_000_000),
            ("2000-03-01T00:00:00Z", 951_868_800_000_000_000),
        ];
        for (text, nanos) in rows {
            assert_eq!(timestamp(text), Some(nanos), "{text}");
        }
    }

    #[test]
    fn an_inexact_time_is_refused() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T06:15:52",
            "2026-11-21 06:15:52Z",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T06:15:52.Z",
            "2026-11-21T06:15:52.1234567890Z",
            "2026-11-21T06:15:52z",
            "2026-11-21T06:15:52+1:00",
            "2026-11-21T06:15:52+0100",
            "1969-12-31T23:59:59Z",
            "+026-11-21T06:15:52Z",
            "2026-11-21T06:15:52Zx",
            "2026-11-2\u{661}T06:15:52Z",
        ] {
            assert_eq!(timestamp(text), None, "{text:?} was taken");
        }
    }

    #[test]
    fn what_is_shown_reads_back_the_same() {
        for nanos in [1, 951_868_799, 951_868_800, 1_709_251_199, 1_795_241_752, 4_102_444_800].map(|s: i64| s * NANOS)
        {
            assert_eq!(timestamp(&show(nanos)), Some(nanos));
        }
        assert_eq!(show(0), "");
    }

    #[test]
    fn since_takes_times_and_spans() {
        let now = 1_795_241_752 * NANOS;
        let utc = |text: &str, now| since(text, now, &TimeZone::UTC);
        assert_eq!(utc("2026-11-21T06:15:52Z", 0).expect("time"), now);
        assert_eq!(utc("1795241752", 0).expect("seconds"), now);
        assert_eq!(utc("1795241752.25", 0).expect("seconds"), now + NANOS / 4);
        for (text, seconds) in [("1h30m", 5400), ("1.5h", 5400), (".5m", 30), ("1d", 86_400), ("1m0.5s500ms", 61)] {
            assert_eq!(utc(text, now).expect(text), now - seconds * NANOS, "{text}");
        }
        assert_eq!(span("1us5ns").expect("span"), 1005);
        for text in
            ["", "10", "m", "10x", "1h30", "-5m", "99999999999d", "1.2.3h", ".h", "1.h.", "h1", "1 h", "٣m", "1,5h"]
        {
            assert!(span(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn since_takes_dates_with_a_zone_or_in_the_local_one() {
        let day = 1_795_219_200 * NANOS;
        let (here, hour) = (TimeZone::fixed(jiff::tz::offset(2)), 3600 * NANOS);
        let rows = [
            ("2026-11-21", day - 2 * hour),
            ("2026-11-21T06", day + 4 * hour),
            ("2026-11-21T06:15", day + 4 * hour + hour / 4),
            ("2026-11-21T06:00:00", day + 4 * hour),
            ("2026-11-21T06:00:00.5", day + 4 * hour + NANOS / 2),
            ("2026-11-21Z", day),
            ("2026-11-21T06Z", day + 6 * hour),
            ("2026-11-21T06:00Z", day + 6 * hour),
            ("2026-11-21+01:00", day - hour),
            ("2026-11-21-01:00", day + hour),
            ("2026-11-21T06:00-10:00", day + 16 * hour),
            ("2026-11-21T06:00:00.000000001Z", day + 6 * hour + 1),
        ];
        for (text, moment) in rows {
            assert_eq!(since(text, 0, &here).expect(text), moment, "{text}");
        }
        for text in [
            "2026-11",
            "2026-11-2",
            "2026-11-21T",
            "2026-11-21T6",
            "2026-11-21 06:00",
            "2026-11-21T06:00.5",
            "2026-02-30",
            "2026-11-21T06:00+0100",
            "2026-11-21T06:00+1",
            "21-11-2026",
            "2026-11-21T06:00:00.Z",
            "1795241752.",
            ".5",
            "1.0000000001",
            "99999999999999999999",
            "9223372036854775807",
            "tomorrow",
            "2026-11-21T06:00ZZ",
            "--",
            "é-é-é-é",
        ] {
            assert!(since(text, 0, &here).is_err(), "{text:?} was taken");
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
