// SPDX-License-Identifier: Apache-2.0
//! `logs --since`: a date, a time, seconds since 1970, or how long ago.

use crate::parse::span::span;
use crate::parse::timestamp::{NANOS, digits, fraction, timestamp};
use anyhow::{Context, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
