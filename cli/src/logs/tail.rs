// SPDX-License-Identifier: Apache-2.0
//! Finds where the last n lines of a log begin, reading backwards from the end of the file.

use crate::logs::record::Record;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes read in one step.
const BLOCK: u64 = 64 << 10;

/// The offset after which exactly the last `count` lines of output follow; 0 when there are fewer lines.
///
/// A line is what the container wrote up to a line end: partial records count together with the full record that ends
/// them, and records of the other stream in between do not split the line.
///
/// # Errors
/// When the file cannot be read.
pub fn offset_of_last(file: &File, count: u64) -> io::Result<u64> {
    let end = file.metadata()?.len();
    let mut counted = Counted { wanted: count, seen: 0, newer: None };
    let (mut low, mut pending) = (end, Vec::new());
    while low > 0 {
        let high = low;
        low = high.saturating_sub(BLOCK);
        let mut block = vec![0; (high - low) as usize];
        file.read_exact_at(&mut block, low)?;
        block.append(&mut pending);
        // After the first line end of the block, all lines are whole. The piece before it waits for the next block.
        let first = if low == 0 { 0 } else { block.iter().position(|&b| b == b'\n').map_or(block.len(), |at| at + 1) };
        if let Some(start) = counted.look(&block[first..], low + first as u64) {
            return Ok(start);
        }
        block.truncate(first);
        pending = block;
    }
    Ok(0)
}

struct Counted {
    wanted: u64,
    seen: u64,
    /// Offset of the oldest record seen so far.
    newer: Option<u64>,
}

impl Counted {
    /// Examines whole lines from the last to the first. `Some` is the offset to find.
    fn look(&mut self, lines: &[u8], base: u64) -> Option<u64> {
        let body = lines.strip_suffix(b"\n").unwrap_or(lines);
        if lines.is_empty() {
            return None;
        }
        let mut end = body.len();
        loop {
            let start = body[..end].iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
            let ends_line = Record::parse(&body[start..end]).is_ok_and(|record| record.full);
            // An unfinished line at the end of the output counts too.
            let last_partial = self.newer.is_none() && !ends_line;
            if ends_line || last_partial {
                if self.seen == self.wanted {
                    return Some(self.newer.unwrap_or(base + lines.len() as u64));
                }
                self.seen += 1;
            }
            self.newer = Some(base + start as u64);
            if start == 0 {
                return None;
            }
            end = start - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn log(records: &[(&str, &str)]) -> (tempfile::NamedTempFile, Vec<u64>) {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        let (mut starts, mut at) = (Vec::new(), 0);
        for (tag, content) in records {
            let line = format!("2026-11-21T06:15:52.123456789Z stdout {tag} {content}\n");
            file.write_all(line.as_bytes()).expect("writes");
            starts.push(at);
            at += line.len() as u64;
        }
        starts.push(at);
        (file, starts)
    }

    #[test]
    fn lines_are_counted_from_the_end() {
        let (file, starts) = log(&[("F", "a"), ("P", "b"), ("F", "b"), ("F", "c")]);
        let at = |n| offset_of_last(file.as_file(), n).expect("reads");
        assert_eq!([at(0), at(1), at(2), at(3), at(4)], [starts[4], starts[3], starts[1], starts[0], 0]);
    }

    #[test]
    fn an_unfinished_last_line_is_a_line() {
        let (file, starts) = log(&[("F", "a"), ("P", "prompt> ")]);
        assert_eq!(offset_of_last(file.as_file(), 1).expect("reads"), starts[1]);
    }

    #[test]
    fn an_empty_log_has_no_last_line() {
        let (file, _) = log(&[]);
        assert_eq!(offset_of_last(file.as_file(), 5).expect("reads"), 0);
    }

    #[test]
    fn every_count_is_right_across_blocks() {
        let wide = "w".repeat(1000);
        let records: Vec<_> = (0..300).map(|_| ("F", wide.as_str())).collect();
        let (file, starts) = log(&records);
        for n in 0..=300_usize {
            assert_eq!(offset_of_last(file.as_file(), n as u64).expect("reads"), starts[300 - n], "{n}");
        }
        let (file, starts) = log(&[("F", "a"), ("F", &"x".repeat(200_000)), ("F", "c")]);
        assert_eq!(offset_of_last(file.as_file(), 2).expect("reads"), starts[1]);
    }
}
