// SPDX-License-Identifier: Apache-2.0
//! Cuts one output stream into CRI log records; pure, no descriptors.
//!
//! ```text
//! 2026-11-21T06:15:30.123456789Z stdout F content\n
//! ^ 30 bytes                     ^ 6    ^ tag at TAG, content from HEAD on
//! ```
//!
//! A line with more than `max` bytes of content becomes records of exactly `max` bytes tagged `P` and a last one tagged
//! `F`. Where the cuts fall depends only on the line, never on how reads happened to chunk it. An unfinished line waits
//! here (at most `max` + 2 bytes) for its newline and is written as `P` at the end of the stream. Bytes are passed
//! through unchanged, except for the carriage return before a newline if it is to be removed.

use super::stamp::STAMP;

/// Length of a record before its content.
pub const HEAD: usize = STAMP + 10;
/// Position of a record's tag.
const TAG: usize = HEAD - 2;

/// Which of a container's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Descriptor 1, and all output of a terminal.
    Stdout = 0,
    /// Descriptor 2.
    Stderr = 1,
}

/// The two possible heads of records of one stream at one time.
#[derive(Debug)]
pub struct Heads {
    full: [u8; HEAD],
    partial: [u8; HEAD],
}

impl Heads {
    /// Heads for records of `stream` at the time `stamp`.
    pub fn new(stamp: &[u8; STAMP], stream: Stream) -> Self {
        let mut full = [b' '; HEAD];
        full[..STAMP].copy_from_slice(stamp);
        full[STAMP + 1..TAG - 1].copy_from_slice(match stream {
            Stream::Stdout => b"stdout",
            Stream::Stderr => b"stderr",
        });
        let mut partial = full;
        (full[TAG], partial[TAG]) = (b'F', b'P');
        Self { full, partial }
    }

    /// Appends the last (or only) record of a line.
    pub fn full(&self, content: &[u8], out: &mut Vec<u8>) {
        record(&self.full, content, out);
    }

    fn partial(&self, content: &[u8], out: &mut Vec<u8>) {
        record(&self.partial, content, out);
    }
}

fn record(head: &[u8; HEAD], content: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(head);
    out.extend_from_slice(content);
    out.push(b'\n');
}

/// How many bytes of output complete records stand for: their content, and one for each line end.
pub fn content_bytes(records: &[u8]) -> u64 {
    let (mut bytes, mut start) = (0, 0);
    for end in memchr::memchr_iter(b'\n', records) {
        let record = &records[start..end];
        bytes += record.len().saturating_sub(HEAD) as u64 + u64::from(record.get(TAG) == Some(&b'F'));
        start = end + 1;
    }
    bytes
}

/// Cuts one stream into records.
#[derive(Debug)]
pub struct Lines {
    pending: Vec<u8>,
    max: usize,
    keep_cr: bool,
}

impl Lines {
    /// Starts without a pending line.
    ///
    /// - Units: `max` in bytes of content per record, at least 1.
    pub fn new(max: usize, keep_cr: bool) -> Self {
        Self { pending: Vec::new(), max: max.max(1), keep_cr }
    }

    /// Appends the records that `chunk` completes to `out`, and keeps an unfinished line for later.
    ///
    /// Stops after the record with which `out` reaches `limit` bytes, and returns how much of `chunk` was processed.
    pub fn push(&mut self, chunk: &[u8], heads: &Heads, out: &mut Vec<u8>, limit: usize) -> usize {
        let mut start = 0;
        while !self.pending.is_empty() && start < chunk.len() {
            start += self.extend_pending(&chunk[start..], heads, out);
            if out.len() >= limit {
                return start;
            }
        }
        let base = start;
        for newline in memchr::memchr_iter(b'\n', &chunk[base..]) {
            let end = base + newline;
            let line = &chunk[start..end];
            if line.len() <= self.max && line.last() != Some(&b'\r') {
                // The usual line: its newline is copied along with it.
                out.extend_from_slice(&heads.full);
                out.extend_from_slice(&chunk[start..=end]);
            } else {
                whole_line(line, self.max, self.keep_cr, heads, out);
            }
            start = end + 1;
            if out.len() >= limit {
                return start;
            }
        }
        if start < chunk.len() {
            self.hold(&chunk[start..], heads, out);
        }
        chunk.len()
    }

    /// Ends the stream: an unfinished line becomes partial records.
    pub fn finish(&mut self, heads: &Heads, out: &mut Vec<u8>) {
        for piece in std::mem::take(&mut self.pending).chunks(self.max) {
            heads.partial(piece, out);
        }
    }

    /// Frees memory that holds no data.
    pub fn release(&mut self) {
        self.pending.shrink_to_fit();
    }

    /// Continues a pending line with the front of `chunk`; returns how much was used.
    fn extend_pending(&mut self, chunk: &[u8], heads: &Heads, out: &mut Vec<u8>) -> usize {
        let room = self.max + 2 - self.pending.len();
        let window = &chunk[..chunk.len().min(room)];
        let newline = memchr::memchr(b'\n', window);
        self.pending.extend_from_slice(&window[..newline.unwrap_or(window.len())]);
        match newline {
            Some(end) => {
                whole_line(&self.pending, self.max, self.keep_cr, heads, out);
                self.pending.clear();
                end + 1
            }
            None => {
                self.spill(heads, out);
                window.len()
            }
        }
    }

    /// Keeps the unfinished `tail` after writing the partial records that are already certain.
    fn hold(&mut self, mut tail: &[u8], heads: &Heads, out: &mut Vec<u8>) {
        while tail.len() > self.max + 1 {
            heads.partial(&tail[..self.max], out);
            tail = &tail[self.max..];
        }
        self.pending.extend_from_slice(tail);
        self.spill(heads, out);
    }

    /// Writes the first record once it is certain: when the content exceeds `max` even if its last byte so far turns
    /// out to be the carriage return of a line end.
    fn spill(&mut self, heads: &Heads, out: &mut Vec<u8>) {
        let maybe_end = !self.keep_cr && self.pending.last() == Some(&b'\r');
        if self.pending.len() > self.max + usize::from(maybe_end) {
            heads.partial(&self.pending[..self.max], out);
            self.pending.drain(..self.max);
        }
    }
}

fn whole_line(line: &[u8], max: usize, keep_cr: bool, heads: &Heads, out: &mut Vec<u8>) {
    let mut content = match line {
        [content @ .., b'\r'] if !keep_cr => content,
        _ => line,
    };
    while content.len() > max {
        heads.partial(&content[..max], out);
        content = &content[max..];
    }
    heads.full(content, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP_TEXT: &[u8; STAMP] = b"2026-11-21T06:15:30.123456789Z";

    /// Pushes `input` in pieces of `step` bytes and returns the tag and content of each record.
    fn cut(input: &[u8], step: usize, max: usize, keep_cr: bool) -> Vec<(char, Vec<u8>)> {
        let heads = Heads::new(STAMP_TEXT, Stream::Stdout);
        let (mut lines, mut out) = (Lines::new(max, keep_cr), Vec::new());
        for mut chunk in input.chunks(step) {
            while !chunk.is_empty() {
                let before = out.len();
                let done = lines.push(chunk, &heads, &mut out, before + 50);
                chunk = &chunk[done..];
            }
        }
        lines.finish(&heads, &mut out);
        assert!(out.is_empty() || out.ends_with(b"\n"));
        out.split_inclusive(|&b| b == b'\n')
            .map(|r| {
                assert_eq!(&r[..TAG], b"2026-11-21T06:15:30.123456789Z stdout ");
                (r[TAG] as char, r[HEAD..r.len() - 1].to_vec())
            })
            .collect()
    }

    fn shown(input: &[u8], max: usize, keep_cr: bool) -> String {
        let whole = cut(input, usize::MAX, max, keep_cr);
        for step in 1..=input.len().max(1) {
            assert_eq!(cut(input, step, max, keep_cr), whole, "chunks of {step}");
        }
        whole.iter().map(|(tag, content)| format!("{tag}[{}]", String::from_utf8_lossy(content))).collect()
    }

    #[test]
    fn lines_become_records_however_they_are_chunked() {
        for (input, records) in [
            (&b""[..], ""),
            (b"a\nbc\n\nd\n", "F[a]F[bc]F[]F[d]"),
            (b"end without newline", "P[end with]P[out newl]P[ine]"),
            (b"12345678\n", "F[12345678]"),
            (b"123456789\n", "P[12345678]F[9]"),
            (b"1234567812345678\n", "P[12345678]F[12345678]"),
            (b"12345678123456781\nx", "P[12345678]P[12345678]F[1]P[x]"),
            (b"a\r\nb\n\r\n", "F[a]F[b]F[]"),
            (b"12345678\r\n", "F[12345678]"),
            (b"1234567\r\n", "F[1234567]"),
            (b"12345678\rx\n", "P[12345678]F[\rx]"),
            (b"1234567\r8\n", "P[1234567\r]F[8]"),
            (b"\r\r\n", "F[\r]"),
            (b"12345678\r", "P[12345678]P[\r]"),
            (b"nul\0\xff\n", "F[nul\0\u{fffd}]"),
        ] {
            assert_eq!(shown(input, 8, false), records, "{:?}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn a_terminal_keeps_its_carriage_returns() {
        assert_eq!(shown(b"a\r\n12345678\r\n", 8, true), "F[a\r]P[12345678]F[\r]");
    }

    #[test]
    fn records_rejoin_to_the_very_bytes_that_came_in() {
        let mut input = Vec::new();
        for i in 0..400_usize {
            input.extend(std::iter::repeat_n(b'a' + (i % 26) as u8, i * 37 % 301));
            input.push(b'\n');
        }
        input.extend_from_slice(b"tail");
        for step in [1, 7, 100, 4096, 65_536] {
            let mut joined = Vec::new();
            for (tag, content) in cut(&input, step, 100, false) {
                assert!(content.len() <= 100);
                joined.extend(content);
                if tag == 'F' {
                    joined.push(b'\n');
                }
            }
            assert_eq!(joined, input);
        }
    }

    #[test]
    fn lost_records_are_counted_in_bytes_of_output() {
        let heads = Heads::new(STAMP_TEXT, Stream::Stderr);
        let (mut lines, mut out) = (Lines::new(10, false), Vec::new());
        let input = b"one\n\n0123456789abc\ntail";
        lines.push(input, &heads, &mut out, usize::MAX);
        lines.finish(&heads, &mut out);
        assert_eq!(content_bytes(&out), input.len() as u64);
    }
}
