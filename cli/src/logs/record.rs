// SPDX-License-Identifier: Apache-2.0
//! One line of a CRI log: `TIME STREAM TAGS CONTENT`.
//!
//! ```text
//! 2026-11-21T06:15:52.123456789Z stdout F hello
//! 2026-11-21T06:15:52.2+01:00 stderr P the start of a long line
//! ```

use crate::parse::timestamp::timestamp;

/// The stream that a record was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One record. Its content is any bytes of the container except a line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The time as it stands in the log.
    pub time: &'a str,
    /// The same time in nanoseconds since 1970.
    pub nanos: i64,
    /// The stream it was written to.
    pub stream: Stream,
    /// Whether a line end follows. If not, more of the same line may come.
    pub full: bool,
    /// The bytes that were written.
    pub content: &'a [u8],
}

/// Why a line is not a record: the name of the bad field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl<'a> Record<'a> {
    /// Reads one line, without its line end. Only the first tag counts (`P` or `F`); more tags may follow after `:` in
    /// future versions of the format.
    ///
    /// # Errors
    /// The first field that is missing or wrong.
    pub fn parse(line: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = line.splitn(4, |&b| b == b' ');
        let time = fields.next().and_then(|f| std::str::from_utf8(f).ok()).ok_or(Malformed("time"))?;
        let nanos = timestamp(time).ok_or(Malformed("time"))?;
        let stream = match fields.next() {
            Some(b"stdout") => Stream::Stdout,
            Some(b"stderr") => Stream::Stderr,
            _ => return Err(Malformed("stream")),
        };
        let full = match fields.next().and_then(|tags| tags.split(|&b| b == b':').next()) {
            Some(b"F") => true,
            Some(b"P") => false,
            _ => return Err(Malformed("tag")),
        };
        let content = fields.next().ok_or(Malformed("content"))?;
        Ok(Self { time, nanos, stream, full, content })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_byte_for_byte() {
        let record = Record::parse(b"2026-11-21T06:15:52.000000001Z stderr P  two spaces \xff\0\r").expect("valid");
        assert_eq!(record.content, b" two spaces \xff\0\r");
        assert_eq!((record.stream, record.full), (Stream::Stderr, false));
        assert_eq!(record.nanos % 1_000_000_000, 1);
        let empty = Record::parse(b"2026-11-21T06:15:52Z stdout F:x:y ").expect("later tags are skipped");
        assert_eq!((empty.content, empty.full), (&b""[..], true));
    }

    #[test]
    fn the_bad_field_of_a_line_is_named() {
        let rows: [(&[u8], &str); 9] = [
            (b"", "time"),
            (b"yesterday stdout F x", "time"),
            (b"\xff stdout F x", "time"),
            (b"2026-11-21T06:15:52Z", "stream"),
            (b"2026-11-21T06:15:52Z stdin F x", "stream"),
            (b"2026-11-21T06:15:52Z stdout", "tag"),
            (b"2026-11-21T06:15:52Z stdout X x", "tag"),
            (b"2026-11-21T06:15:52Z stdout FP x", "tag"),
            (b"2026-11-21T06:15:52Z stdout F", "content"),
        ];
        for (line, field) in rows {
            assert_eq!(Record::parse(line), Err(Malformed(field)), "{}", String::from_utf8_lossy(line));
        }
    }
}
