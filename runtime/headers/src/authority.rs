// SPDX-License-Identifier: Apache-2.0
//! Rewrites `:authority` in what a client sends, before the HTTP/2 engine reads it, to a value that the engine accepts.
//!
//! Clients that address the server by a socket's path (gRPC's C core and what is built on it: Python, C++, Ruby) send
//! the path, plain or percent-encoded, as `:authority`. Go's servers and gRPC's own ignore it; our engine, h2, resets
//! the stream before any handler sees it.
//!
//! Bytes are changed but never added or removed, so the engine sees the client's frames where they were. This requires
//! whole header blocks: a partial one waits here for the rest. Anything that does not look like HTTP/2 from a client is
//! passed on unchanged, with all that follows, for the engine to refuse.

use super::fields::{self, Names};

/// The length of the connection preface.
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
/// The bytes before a frame's payload.
const HEAD: usize = 9;
/// The longest payload; the engine does not allow clients a longer one.
const LONGEST_FRAME: usize = 16 << 10;
/// The longest header block, including the heads of its frames. The engine accepts 16 KiB of headers, and encoding does
/// not make them longer.
const LONGEST_BLOCK: usize = 64 << 10;
/// The most frames of a header block. The engine accepts seven.
const MOST_FRAMES: usize = 8;

const HEADERS: u8 = 1;
const PUSH_PROMISE: u8 = 5;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The state of one connection.
#[derive(Debug)]
pub struct Filter {
    names: Names,
    /// Bytes until the next frame's head.
    left: usize,
    /// Number of frames whose head was seen.
    frames: u64,
    /// The beginning of a frame or header block that waits for the rest, and then all of it.
    kept: Vec<u8>,
    /// Bytes that `kept` needs; 0 when it can be passed on.
    needed: usize,
    /// Bytes of `kept` that were passed on.
    given: usize,
    /// Nothing is inspected any more.
    blind: bool,
}

/// What a connection's next bytes are.
enum Look {
    /// This many bytes are needed to see more.
    Needs(usize),
    /// A frame of this many bytes without headers.
    Other(usize),
    /// A complete header block of this many bytes.
    Block(usize),
    /// Nothing that one of our clients sends.
    Odd,
}

impl Default for Filter {
    fn default() -> Self {
        Self { names: Names::default(), left: PREFACE, frames: 0, kept: Vec::new(), needed: 0, given: 0, blind: false }
    }
}

impl Filter {
    /// Inspects and rewrites the next bytes of a client; returns how many of them may be read now. The rest is kept,
    /// and the bytes after it go to [`Self::complete`].
    ///
    /// - Shapes: called while nothing is [kept](Self::needs) or [ready](Self::ready).
    pub fn pass(&mut self, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        loop {
            let skipped = self.left.min(bytes.len() - at);
            at += skipped;
            self.left -= skipped;
            if self.blind || at == bytes.len() {
                return bytes.len();
            }
            match look(&bytes[at..]) {
                Look::Needs(needed) => {
                    self.kept.extend_from_slice(&bytes[at..]);
                    self.needed = needed;
                    return at;
                }
                Look::Other(length) => self.begin(length),
                Look::Block(length) => {
                    self.begin(length);
                    self.mend(&mut bytes[at..at + length]);
                }
                Look::Odd => self.blind = true,
            }
        }
    }

    /// How many more bytes are needed before the kept ones can be read; 0 when none are kept.
    pub fn needs(&self) -> usize {
        self.needed.saturating_sub(self.kept.len())
    }

    /// Adds bytes that are needed, at most [as many](Self::needs).
    pub fn complete(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        if self.kept.len() < self.needed {
            return;
        }
        self.needed = 0;
        match look(&self.kept) {
            Look::Needs(needed) => self.needed = needed,
            Look::Other(length) => {
                self.begin(length);
                self.left -= self.kept.len();
            }
            Look::Block(length) => {
                self.begin(length);
                self.left = 0;
                let mut block = std::mem::take(&mut self.kept);
                self.mend(&mut block);
                self.kept = block;
            }
            Look::Odd => self.blind = true,
        }
    }

    /// Gives up waiting: the kept bytes can be read as they are.
    pub fn give_up(&mut self) {
        self.needed = 0;
        self.blind = true;
    }

    /// The kept bytes that can be read now.
    pub fn ready(&self) -> &[u8] {
        if self.needed > 0 { &[] } else { &self.kept[self.given..] }
    }

    /// Records that this many of the [ready](Self::ready) bytes were read.
    pub fn read(&mut self, count: usize) {
        self.given += count;
        if self.given == self.kept.len() {
            self.kept = Vec::new();
            self.given = 0;
        }
    }

    /// The number of the frame that the client has started and not finished, or 0 before its first frame arrives.
    pub fn unfinished(&self) -> Option<u64> {
        let begun = self.left > 0 || self.needed > 0 || self.frames == 0;
        (begun && !self.blind).then_some(self.frames + u64::from(self.needed > 0))
    }

    /// Whether the client has sent something that none of our clients send.
    pub fn is_blind(&self) -> bool {
        self.blind
    }

    fn begin(&mut self, length: usize) {
        self.frames += 1;
        self.left = length;
    }

    /// Rewrites a complete block, so that [`Self::pass`] can skip its bytes.
    fn mend(&mut self, block: &mut [u8]) {
        if mend(block, &mut self.names).is_none() {
            self.blind = true;
        }
    }
}

/// Reads a frame's payload length, kind, flags and stream; `bytes` contains its head.
fn head(bytes: &[u8]) -> (usize, u8, u8, [u8; 4]) {
    let length = usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2]);
    (length, bytes[3], bytes[4], [bytes[5] & 0x7f, bytes[6], bytes[7], bytes[8]])
}

fn look(bytes: &[u8]) -> Look {
    let (mut at, mut of) = (0, None);
    for _ in 0..MOST_FRAMES {
        if bytes.len() < at + HEAD {
            return Look::Needs(at + HEAD);
        }
        let (length, kind, flags, stream) = head(&bytes[at..]);
        let end = at + HEAD + length;
        match (of, kind) {
            (None, HEADERS) => of = Some(stream),
            (Some(first), CONTINUATION) if first == stream => {}
            (Some(_), _) | (None, CONTINUATION | PUSH_PROMISE) => return Look::Odd,
            (None, _) => return Look::Other(end),
        }
        if length > LONGEST_FRAME || end > LONGEST_BLOCK {
            return Look::Odd;
        }
        if bytes.len() < end {
            return Look::Needs(end);
        }
        if flags & END_HEADERS != 0 {
            return Look::Block(end);
        }
        at = end;
    }
    Look::Odd
}

/// Rewrites a header block in its frames; `None` when it cannot be read.
fn mend(frames: &mut [u8], names: &mut Names) -> Option<()> {
    let fragments = fragments(frames)?;
    if let [only] = &fragments[..] {
        return fields::mend(&mut frames[only.clone()], names).ok();
    }
    let mut block = Vec::with_capacity(frames.len());
    fragments.iter().for_each(|fragment| block.extend_from_slice(&frames[fragment.clone()]));
    fields::mend(&mut block, names).ok()?;
    let mut rest = &block[..];
    for fragment in fragments {
        let part = rest.split_off(..fragment.len())?;
        frames[fragment].copy_from_slice(part);
    }
    Some(())
}

/// Finds the parts of the block: the payloads without padding and priority.
fn fragments(frames: &[u8]) -> Option<Vec<std::ops::Range<usize>>> {
    let (mut found, mut at) = (Vec::with_capacity(1), 0);
    while at < frames.len() {
        let (length, kind, flags, _) = head(&frames[at..]);
        let (mut start, mut end) = (at + HEAD, at + HEAD + length);
        at = end;
        if kind == HEADERS && flags & PADDED != 0 {
            end = end.checked_sub(usize::from(*frames.get(start)?))?;
            start += 1;
        }
        if kind == HEADERS && flags & PRIORITY != 0 {
            start += 5;
        }
        found.push((start <= end).then_some(start..end)?);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        // Settings and pings belong to the connection, the other kinds to the first stream.
        let stream = u8::from(!matches!(kind, 4 | 6));
        [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
    }

    /// A block as gRPC's C core writes it: `:path`, `:authority` with its name as a literal, and later an index.
    fn block(authority: &str) -> Vec<u8> {
        let authority = [&[0x40, 10][..], b":authority", &[authority.len() as u8], authority.as_bytes()].concat();
        [&[0x83, 0x86, 0x44, 2][..], b"/x", &authority, &[0xbe]].concat()
    }

    fn greeting() -> Vec<u8> {
        [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, &[0; 12])].concat()
    }

    /// All kinds of frames around header blocks of every shape.
    fn connection(authority: &str) -> Vec<u8> {
        let block = block(authority);
        let (first, rest) = block.split_at(9);
        let (second, third) = rest.split_at(20);
        let padded = [&[3][..], &[0, 0, 0, 0, 16], &block, &[0; 3]].concat();
        [
            greeting(),
            frame(HEADERS, END_HEADERS, &block),
            frame(0, 1, &[0; 5]),
            frame(HEADERS, END_HEADERS | PADDED | PRIORITY, &padded),
            frame(6, 0, &[7; 8]),
            frame(HEADERS, 0, first),
            frame(CONTINUATION, 0, second),
            frame(CONTINUATION, END_HEADERS, third),
            frame(8, 0, &[0, 0, 1, 0]),
        ]
        .concat()
    }

    /// The output for bytes that arrive in these parts, as a connection reads them.
    pub fn through<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Vec<u8> {
        let (mut filter, mut out) = (Filter::default(), Vec::new());
        for part in parts {
            let mut part = part.to_vec();
            while !part.is_empty() {
                if filter.needs() > 0 {
                    let rest = part.split_off(filter.needs().min(part.len()));
                    filter.complete(&std::mem::replace(&mut part, rest));
                } else {
                    let read = filter.pass(&mut part);
                    out.extend(part.drain(..read));
                    part.clear();
                }
                let ready = filter.ready().to_vec();
                out.extend(&ready);
                filter.read(ready.len());
            }
        }
        filter.give_up();
        out.extend(filter.ready());
        out
    }

    #[test]
    fn every_path_is_changed_and_nothing_else_is() {
        for authority in ["/run/gorae/gorae.sock", "%2Frun%2Fgorae%2Fgorae.sock"] {
            let host = format!("{:-<1$}", "localhost", authority.len());
            assert_eq!(through([&connection(authority)[..]]), connection(&host));
        }
        assert_eq!(through([&connection("localhost")[..]]), connection("localhost"));
    }

    #[test]
    fn it_does_not_matter_where_the_bytes_are_cut() {
        let (wire, wanted) = (connection("/run/x.sock"), connection("localhost--"));
        assert_eq!(through(wire.chunks(1)), wanted);
        for cut in 0..wire.len() {
            let (head, tail) = wire.split_at(cut);
            assert_eq!(through([head, tail]), wanted, "cut at {cut}");
            assert_eq!(through([head]).len(), cut, "ended at {cut}");
        }
    }

    #[test]
    fn what_is_no_http_2_passes_as_it_is_and_is_not_kept() {
        let block = block("/run/x.sock");
        let long =
            [frame(HEADERS, 0, &[0; LONGEST_FRAME]), frame(CONTINUATION, 0, &[0; LONGEST_FRAME]).repeat(4)].concat();
        for odd in [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n, and more after that".to_vec(),
            [greeting(), frame(PUSH_PROMISE, END_HEADERS, &block)].concat(),
            [greeting(), frame(CONTINUATION, END_HEADERS, &block)].concat(),
            [greeting(), frame(HEADERS, 0, &block), frame(0, 0, b"data")].concat(),
            [greeting(), frame(HEADERS, END_HEADERS | PADDED, &[200, 0])].concat(),
            [greeting(), frame(HEADERS, END_HEADERS, &[0x41, 0x7f])].concat(),
            [greeting(), long].concat(),
            [greeting(), frame(HEADERS, 0, &[]), frame(CONTINUATION, 0, &[]).repeat(MOST_FRAMES)].concat(),
        ] {
            let odd = [odd, frame(HEADERS, END_HEADERS, &block)].concat();
            assert_eq!(through([&odd[..]]), odd);
            assert_eq!(through(odd.chunks(7)), odd);
        }
    }

    #[test]
    fn a_frame_that_was_begun_is_known_by_its_number_until_it_ends() {
        let mut filter = Filter::default();
        assert_eq!(filter.unfinished(), Some(0));
        filter.pass(&mut greeting()[..24].to_vec());
        assert_eq!(filter.unfinished(), Some(0), "nothing was said yet");
        filter.pass(&mut frame(4, 0, &[]));
        assert_eq!(filter.unfinished(), None);
        filter.pass(&mut frame(0, 0, &[0; 20])[..12].to_vec());
        assert_eq!(filter.unfinished(), Some(2));
        filter.pass(&mut [0; 17]);
        assert_eq!(filter.unfinished(), None);
        filter.pass(&mut frame(HEADERS, 0, &block("/x"))[..20].to_vec());
        assert_eq!(filter.unfinished(), Some(3));
    }
}
