// SPDX-License-Identifier: Apache-2.0
//! The timestamp of every log record: RFC 3339 with nine digits of nanoseconds, in UTC.
//!
//! The date and the time to the second are formatted once per second, the digits below once per batch. Every stamp has
//! the same length, which lets the rest of the module find a record's parts by position.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Length of a stamp, `2026-11-21T06:15:30.123456789Z`.
pub const STAMP: usize = 30;

/// Formats wall-clock time; never goes back, whatever the clock does.
#[derive(Debug)]
pub struct Clock {
    last: Timespec,
    text: [u8; STAMP],
}

impl Default for Clock {
    fn default() -> Self {
        Self { last: Timespec { tv_sec: -1, tv_nsec: 0 }, text: *b"1970-01-01T00:00:00.000000000Z" }
    }
}

impl Clock {
    /// The current time, or the latest one returned before if the clock has been set back.
    pub fn now(&mut self) -> [u8; STAMP] {
        self.at(clock_gettime(ClockId::Realtime))
    }

    fn at(&mut self, now: Timespec) -> [u8; STAMP] {
        if (now.tv_sec, now.tv_nsec) > (self.last.tv_sec, self.last.tv_nsec) {
            if now.tv_sec != self.last.tv_sec {
                write_second(&mut self.text, now.tv_sec.max(0) as u64);
            }
            digits(&mut self.text[20..29], now.tv_nsec as u64);
            self.last = now;
        }
        self.text
    }
}

/// Writes `value` in decimal over the whole of `field`, with leading zeros.
fn digits(field: &mut [u8], mut value: u64) {
    for byte in field.iter_mut().rev() {
        *byte = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Writes the date and the time of day. Years are counted from 1 March in eras of 400, so that the leap day is the last
/// of its year.
fn write_second(text: &mut [u8; STAMP], second: u64) {
    let (days, of_day) = (second / 86_400 + 719_468, second % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], of_day / 3_600);
    digits(&mut text[14..16], of_day / 60 % 60);
    digits(&mut text[17..19], of_day % 60);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(tv_sec: i64, tv_nsec: i64) -> String {
        String::from_utf8(Clock::default().at(Timespec { tv_sec, tv_nsec }).to_vec()).unwrap()
    }

    #[test]
    fn known_moments_have_their_known_text() {
        assert_eq!(stamp(0, 1), "1970-01-01T00:00:00.000000001Z");
        assert_eq!(stamp(951_782_400, 5), "2000-02-29T00:00:00.000000005Z");
        assert_eq!(stamp(1_709_251_199, 999_999_999), "2024-02-29T23:59:59.999999999Z");
        assert_eq!(stamp(1_709_251_200, 0), "2024-03-01T00:00:00.000000000Z");
        assert_eq!(stamp(1_795_241_730, 120_000_000), "2026-11-21T06:15:30.120000000Z");
        assert_eq!(stamp(4_102_444_799, 1), "2099-12-31T23:59:59.000000001Z");
    }

    #[test]
    fn a_clock_that_is_set_back_repeats_the_last_stamp() {
        let mut clock = Clock::default();
        let late = clock.at(Timespec { tv_sec: 1_000, tv_nsec: 7 });
        assert_eq!(clock.at(Timespec { tv_sec: 999, tv_nsec: 9 }), late);
        assert_eq!(clock.at(Timespec { tv_sec: 1_000, tv_nsec: 6 }), late);
        assert!(clock.at(Timespec { tv_sec: 1_000, tv_nsec: 8 }) > late);
    }
}
