// SPDX-License-Identifier: Apache-2.0
//! Points in time as RFC 3339, read from logs to the nanosecond and shown to the second.

/// Nanoseconds in a second.
pub const NANOS: i64 = 1_000_000_000;

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

/// Reads a number that has only ASCII digits.
pub fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The nanoseconds of a fraction such as `.123`, and the text after it.
pub fn fraction(text: &str) -> Option<(i64, &str)> {
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
}
