// SPDX-License-Identifier: Apache-2.0
//! Printing records as the container wrote them: its standard output to ours, its standard error to ours, partial records
//! joined.
//!
//! Output is passed on byte for byte: colours and progress bars work, as with Docker.

use crate::logs::record::{Record, Stream};
use crate::output::json;
use std::io::{self, BufWriter, Write};

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As the container wrote them.
    Plain,
    /// With a time before each line: that of its first record.
    Timed,
    /// One JSON object per record, all on standard output. Bytes that are not valid UTF-8 become U+FFFD.
    Json,
}

/// Prints records to two outputs. Both are buffered, so [`Printer::flush`] has to be called at the end.
#[derive(Debug)]
pub struct Printer<O: Write, E: Write> {
    out: BufWriter<O>,
    err: BufWriter<E>,
    since: i64,
    form: Form,
    /// For each stream, whether the line last written to it is still unfinished.
    open: [bool; 2],
    malformed: u64,
}

impl<O: Write, E: Write> Printer<O, E> {
    /// A printer to `out` and `err` for the records that are not older than `since` (nanoseconds since 1970).
    pub fn new(out: O, err: E, since: i64, form: Form) -> Self {
        let (out, err) = (BufWriter::with_capacity(64 << 10, out), BufWriter::new(err));
        Self { out, err, since, form, open: [false; 2], malformed: 0 }
    }

    /// Prints one line of the file. A line that is not a record is counted and left out.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn line(&mut self, line: &[u8]) -> io::Result<()> {
        let Ok(record) = Record::parse(line) else {
            self.malformed += 1;
            return Ok(());
        };
        if record.nanos < self.since {
            return Ok(());
        }
        let timed = self.form == Form::Timed;
        match record.stream {
            _ if self.form == Form::Json => write_json(&mut self.out, &record),
            Stream::Stdout => write(&mut self.out, &mut self.open[0], timed, &record),
            Stream::Stderr => write(&mut self.err, &mut self.open[1], timed, &record),
        }
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.err.flush()
    }

    /// The number of lines that were not records.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }
}

fn write(to: &mut impl Write, open: &mut bool, timed: bool, record: &Record<'_>) -> io::Result<()> {
    if timed && !*open {
        write!(to, "{} ", record.time)?;
    }
    to.write_all(record.content)?;
    if record.full {
        to.write_all(b"\n")?;
    }
    *open = !record.full;
    Ok(())
}

fn write_json(to: &mut impl Write, record: &Record<'_>) -> io::Result<()> {
    let stream = match record.stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    let text = String::from_utf8_lossy(record.content);
    let value = serde_json::json!({ "time": record.time, "stream": stream, "text": text, "partial": !record.full });
    writeln!(to, "{}", json::escaped(&value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(since: i64, form: Form, lines: &[&str]) -> (String, String, u64) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut printer = Printer::new(&mut out, &mut err, since, form);
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
    fn parts_of_a_line_join_even_if_the_other_stream_wrote_in_between() {
        assert_eq!(printed(0, Form::Plain, LINES), ("abcd\nno end".into(), "oops\n".into(), 1));
    }

    #[test]
    fn a_line_has_the_time_of_its_first_record() {
        let (out, err, _) = printed(0, Form::Timed, LINES);
        assert_eq!(out, "1970-01-01T00:00:01Z abcd\n1970-01-01T00:00:04Z no end");
        assert_eq!(err, "1970-01-01T00:00:02Z oops\n");
    }

    #[test]
    fn older_records_are_left_out() {
        assert_eq!(printed(3_000_000_000, Form::Plain, LINES).0, "cd\nno end");
    }

    #[test]
    fn as_json_each_record_is_one_line_that_is_harmless_to_a_terminal() {
        let (out, err, _) = printed(0, Form::Json, &["1970-01-01T00:00:01Z stderr P red \x1b[31m \u{9b}"]);
        let value: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!((value["stream"].as_str(), value["partial"].as_bool()), (Some("stderr"), Some(true)));
        assert_eq!(value["text"], "red \x1b[31m \u{9b}");
        assert!(!out.contains('\x1b') && !out.contains('\u{9b}') && err.is_empty(), "{out}");
    }
}
