// SPDX-License-Identifier: Apache-2.0
//! Records written out again as the container wrote them: standard output to standard output, standard error to
//! standard error, partial records joined.
//!
//! A container's output goes out byte for byte: colours and progress bars are its own, as with Docker.

use super::record::{Record, Stream};
use std::io::{self, BufWriter, Write};

/// Puts records out.
#[derive(Debug)]
pub struct Printer<O: Write, E: Write> {
    out: BufWriter<O>,
    err: BufWriter<E>,
    since: i64,
    times: bool,
    /// Whether the last thing written to the stream was no line end, per stream.
    open: [bool; 2],
    malformed: u64,
}

impl<O: Write, E: Write> Printer<O, E> {
    /// Prints to `out` and `err` what is not older than `since` (nanoseconds since 1970); with `times` the time of
    /// its first record stands before each line.
    pub fn new(out: O, err: E, since: i64, times: bool) -> Self {
        let (out, err) = (BufWriter::with_capacity(64 << 10, out), BufWriter::new(err));
        Self { out, err, since, times, open: [false; 2], malformed: 0 }
    }

    /// Prints one line of the file. A line that is no record is counted and left out.
    pub fn line(&mut self, line: &[u8]) -> io::Result<()> {
        let Ok(record) = Record::parse(line) else {
            self.malformed += 1;
            return Ok(());
        };
        if record.nanos < self.since {
            return Ok(());
        }
        match record.stream {
            Stream::Stdout => write(&mut self.out, &mut self.open[0], self.times, &record),
            Stream::Stderr => write(&mut self.err, &mut self.open[1], self.times, &record),
        }
    }

    /// Hands everything on.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.err.flush()
    }

    /// How many lines were no records.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }
}

fn write(to: &mut impl Write, open: &mut bool, times: bool, record: &Record<'_>) -> io::Result<()> {
    if times && !*open {
        write!(to, "{} ", record.time)?;
    }
    to.write_all(record.content)?;
    if record.full {
        to.write_all(b"\n")?;
    }
    *open = !record.full;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(since: i64, times: bool, lines: &[&str]) -> (String, String, u64) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut printer = Printer::new(&mut out, &mut err, since, times);
        for line in lines {
            printer.line(line.as_bytes()).expect("writes");
        }
        printer.flush().expect("flushes");
        let malformed = printer.malformed();
        drop(printer);
        (String::from_utf8(out).expect("text"), String::from_utf8(err).expect("text"), malformed)
    }

    const LINES: &[&str] = &[
        "1970-01-01T00:00:01Z stdout P ab",
        "1970-01-01T00:00:02Z stderr F oops",
        "1970-01-01T00:00:03Z stdout F cd",
        "torn rec",
        "1970-01-01T00:00:04Z stdout P no end",
    ];

    #[test]
    fn parts_of_a_line_join_although_the_other_stream_wrote_between_them() {
        assert_eq!(printed(0, false, LINES), ("abcd\nno end".into(), "oops\n".into(), 1));
    }

    #[test]
    fn a_line_has_one_time_that_of_its_first_record() {
        let (out, err, _) = printed(0, true, LINES);
        assert_eq!(out, "1970-01-01T00:00:01Z abcd\n1970-01-01T00:00:04Z no end");
        assert_eq!(err, "1970-01-01T00:00:02Z oops\n");
    }

    #[test]
    fn older_records_are_left_out() {
        assert_eq!(printed(3_000_000_000, false, LINES).0, "cd\nno end");
    }
}
