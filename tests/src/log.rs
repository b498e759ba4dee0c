// SPDX-License-Identifier: Apache-2.0
//! Container logs in the CRI's format: `TIME STREAM TAG TEXT`, one record a line.

use anyhow::{Context, Result, ensure};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// RFC 3339 with nanoseconds, as written.
    pub time: String,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// True for `F`: the line ends here; false for `P`: it goes on in the next record of the stream.
    pub full: bool,
    /// The bytes of the line, without its end.
    pub text: String,
}

/// Reads a whole log, strictly: a record that is not of the form is an error.
///
/// # Errors
/// With the number and the text of the first bad record.
pub fn parse(log: &str) -> Result<Vec<Record>> {
    let numbered = log.lines().enumerate();
    numbered.map(|(i, line)| record(line).with_context(|| format!("record {}: {line:?}", i + 1))).collect()
}

fn record(line: &str) -> Result<Record> {
    let mut parts = line.splitn(4, ' ');
    let (time, stream, tag) = (parts.next(), parts.next(), parts.next());
    let (time, stream, tag) = (time.context("no time")?, stream.context("no stream")?, tag.context("no tag")?);
    let text = parts.next().context("no text")?;
    ensure!(time.len() >= 20 && time.as_bytes()[10] == b'T', "{time:?} is no RFC 3339 time");
    ensure!(matches!(stream, "stdout" | "stderr"), "{stream:?} is no stream");
    ensure!(matches!(tag, "F" | "P"), "{tag:?} is no tag");
    Ok(Record { time: time.to_owned(), stream: stream.to_owned(), full: tag == "F", text: text.to_owned() })
}

/// The lines of one stream, partial records joined.
#[must_use]
pub fn lines(records: &[Record], stream: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for record in records.iter().filter(|r| r.stream == stream) {
        open += &record.text;
        if record.full {
            lines.push(std::mem::take(&mut open));
        }
    }
    if !open.is_empty() {
        lines.push(open);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_records_of_a_stream_are_joined() {
        let log = "2024-01-01T00:00:00.000000001Z stdout P ab\n2024-01-01T00:00:00.000000001Z stderr F x\n\
                   2024-01-01T00:00:00.000000002Z stdout F cd\n";
        let records = parse(log).unwrap();
        assert_eq!(lines(&records, "stdout"), ["abcd"]);
        assert_eq!(lines(&records, "stderr"), ["x"]);
    }

    #[test]
    fn a_torn_record_is_an_error_with_its_number() {
        let error = parse("2024-01-01T00:00:00.000000001Z stdout F a\n01Z stdout F b\n").unwrap_err();
        assert!(error.to_string().starts_with("record 2"), "{error}");
    }
}
