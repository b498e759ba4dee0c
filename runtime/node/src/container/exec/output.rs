// SPDX-License-Identifier: Apache-2.0
//! Keeps a command's output: up to 16 MB of both streams together, and a note if output was truncated.

use std::fmt::Write;

/// The most bytes of output in a response. The CRI specifies 16 MB, and its clients accept no response above 16 MiB; this
/// leaves room for the rest of the message.
const MAX_OUTPUT: usize = (16 << 20) - (4 << 10);
/// The share that each stream always has, so that a flood on one does not hide the other.
const OWN_SHARE: usize = 1 << 20;
/// The longest note about what was left out.
const NOTE: usize = 128;

/// One of a command's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The beginning of both streams.
#[derive(Debug, Default)]
pub struct Kept {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Bytes that were left out.
    cut: u64,
}

impl Kept {
    /// Adds the next bytes of a stream. Bytes that do not fit are dropped; the command does not notice.
    pub fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let room = MAX_OUTPUT - NOTE - self.stdout.len() - self.stderr.len();
        let (own, other) = match stream {
            Stream::Stdout => (&mut self.stdout, &mut self.stderr),
            Stream::Stderr => (&mut self.stderr, &mut self.stdout),
        };
        let mut taken = bytes.len().min(room);
        // The other stream has used the space, and gives back this one's share.
        let share = OWN_SHARE.saturating_sub(own.len() + taken).min(bytes.len() - taken);
        let given = share.min(other.len().saturating_sub(OWN_SHARE));
        other.truncate(other.len() - given);
        taken += given;
        own.extend_from_slice(&bytes[..taken]);
        self.cut += (bytes.len() - taken + given) as u64;
    }

    /// Bytes that were left out.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// Standard output and standard error. If bytes were dropped, the last line of standard error says so.
    pub fn finish(mut self) -> (Vec<u8>, Vec<u8>) {
        if self.cut > 0 {
            let mut note =
                if self.stderr.last().is_none_or(|&last| last == b'\n') { String::new() } else { "\n".into() };
            // Writing to a string cannot fail.
            let _ =
                writeln!(note, "gorae: output truncated: {} bytes did not fit into the 16 MB of a response", self.cut);
            self.stderr.extend_from_slice(note.as_bytes());
        }
        (self.stdout, self.stderr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flooded(streams: &[(Stream, usize)]) -> Kept {
        let mut kept = Kept::default();
        for &(stream, bytes) in streams {
            let letter = if stream == Stream::Stdout { b'o' } else { b'e' };
            for chunk in vec![letter; bytes].chunks(8192) {
                kept.take(stream, chunk);
            }
        }
        kept
    }

    #[test]
    fn what_fits_is_whole_and_nothing_is_said() {
        for streams in
            [[(Stream::Stdout, 16_000_000), (Stream::Stderr, 5)], [(Stream::Stderr, 16_000_000), (Stream::Stdout, 0)]]
        {
            let kept = flooded(&streams);
            assert_eq!(kept.cut(), 0);
            let (stdout, stderr) = kept.finish();
            assert_eq!(stdout.len() + stderr.len(), streams[0].1 + streams[1].1);
        }
    }

    #[test]
    fn a_flood_on_one_stream_leaves_the_other_its_share_and_says_what_it_cost() {
        for second in [5, OWN_SHARE, OWN_SHARE + 7, 40_000_000] {
            let kept = flooded(&[(Stream::Stdout, 40_000_000), (Stream::Stderr, second)]);
            let cut = kept.cut();
            assert_eq!(cut as usize, 40_000_000 + second - (MAX_OUTPUT - NOTE));
            let (stdout, stderr) = kept.finish();
            assert!(stdout.len() + stderr.len() <= MAX_OUTPUT);
            assert!(stdout.iter().all(|&byte| byte == b'o'));
            let text = String::from_utf8(stderr).expect("letters");
            let (said, note) = text.split_once("\n").expect("a line of its own");
            assert!(said.len() == second.min(OWN_SHARE) && said.bytes().all(|byte| byte == b'e'), "{}", said.len());
            assert!(note.contains(&cut.to_string()) && note.ends_with('\n') && note.len() < NOTE, "{note}");
        }
    }

    #[test]
    fn the_share_is_the_same_whichever_stream_comes_first() {
        let (stdout, stderr) = flooded(&[(Stream::Stderr, 40_000_000), (Stream::Stdout, 3)]).finish();
        assert_eq!(stdout, b"ooo");
        assert!(stderr.len() > 15 << 20);
    }
}
