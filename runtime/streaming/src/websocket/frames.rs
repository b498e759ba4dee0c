// SPDX-License-Identifier: Apache-2.0
//! WebSocket frames on the wire.
//!
//! Data frames are passed on in the pieces they arrive in, unmasked in place; only control frames, at most 125 bytes
//! long, are collected. No memory is allocated for a length that a peer announced.

use super::fault::Fault;

/// Opcode of a text message.
pub const TEXT: u8 = 1;
/// Opcode of a binary message.
pub const BINARY: u8 = 2;
/// Opcode of a Close frame.
pub const CLOSE: u8 = 8;
/// Opcode of a Ping frame.
pub const PING: u8 = 9;
/// Opcode of a Pong frame.
pub const PONG: u8 = 10;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

/// What arrived.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'i> {
    /// Part of a message, which may span frames. It is empty when the message or the frame is.
    Piece {
        /// Whether it is the first of its message.
        start: bool,
        /// Whether it is the last of its message.
        end: bool,
        /// Whether the message is text.
        text: bool,
        /// The bytes, unmasked.
        bytes: &'i [u8],
    },
    /// A ping: its payload goes back in a pong.
    Ping(Vec<u8>),
    /// A pong, solicited or not.
    Pong,
    /// The peer ends the connection, with this code if it included one.
    Close(Option<u16>),
}

/// Cuts a byte stream into frames and frames into messages.
#[derive(Debug)]
pub struct Decoder {
    /// Whether frames must be masked, as those of clients are.
    masked: bool,
    head: [u8; 14],
    head_filled: usize,
    frame: Option<FrameLeft>,
    control: Vec<u8>,
    /// Inside a fragmented message: whether it is text.
    message: Option<bool>,
}

#[derive(Debug)]
struct FrameLeft {
    opcode: u8,
    fin: bool,
    start: bool,
    text: bool,
    left: u64,
    mask: [u8; 4],
    mask_at: usize,
}

impl Decoder {
    /// Makes the decoder of a server, which reads masked frames.
    pub fn server() -> Self {
        Self { masked: true, head: [0; 14], head_filled: 0, frame: None, control: Vec::new(), message: None }
    }

    /// Makes the decoder of a client, which reads frames without a mask.
    pub fn client() -> Self {
        Self { masked: false, ..Self::server() }
    }

    /// Consumes bytes from the front of `input` until there is an event; `None` when all of it has been consumed.
    ///
    /// # Errors
    /// A [`Fault`], after which the decoder must not be used again.
    pub fn next<'i>(&mut self, input: &mut &'i mut [u8]) -> Result<Option<Event<'i>>, Fault> {
        loop {
            let Some(frame) = &mut self.frame else {
                if !self.fill_head(input)? {
                    return Ok(None);
                }
                self.begin()?;
                continue;
            };
            if frame.left > 0 && input.is_empty() {
                return Ok(None);
            }
            let most = usize::try_from(frame.left).unwrap_or(usize::MAX).min(input.len());
            let (bytes, rest) = std::mem::take(input).split_at_mut(most);
            *input = rest;
            frame.unmask(bytes);
            let over = frame.left == 0;
            if frame.opcode >= CLOSE {
                self.control.extend_from_slice(bytes);
                if over {
                    let opcode = frame.opcode;
                    self.frame = None;
                    return control(opcode, std::mem::take(&mut self.control)).map(Some);
                }
                continue;
            }
            let start = std::mem::replace(&mut frame.start, false);
            let (text, end) = (frame.text, over && frame.fin);
            if over {
                self.message = (!end).then_some(text);
                self.frame = None;
            }
            return Ok(Some(Event::Piece { start, end, text, bytes }));
        }
    }

    /// Collects a frame's head; its first two bytes determine its length.
    fn fill_head(&mut self, input: &mut &mut [u8]) -> Result<bool, Fault> {
        loop {
            let wanted = if self.head_filled < 2 { 2 } else { self.head_length() };
            if self.head_filled >= wanted {
                return Ok(true);
            }
            if input.is_empty() {
                return Ok(false);
            }
            let most = (wanted - self.head_filled).min(input.len());
            let (bytes, rest) = std::mem::take(input).split_at_mut(most);
            *input = rest;
            self.head[self.head_filled..self.head_filled + most].copy_from_slice(bytes);
            self.head_filled += most;
            if self.head_filled == 2 {
                self.check_head()?;
            }
        }
    }

    fn head_length(&self) -> usize {
        let length = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if self.masked { 4 } else { 0 }
    }

    fn check_head(&self) -> Result<(), Fault> {
        let [first, second, ..] = self.head;
        let (opcode, fin) = (first & 0x0f, first & FIN != 0);
        if first & 0x70 != 0 {
            return Err(Fault::protocol("a reserved bit is set"));
        }
        if (second & MASKED != 0) != self.masked {
            return Err(Fault::protocol("a frame with the wrong masking"));
        }
        match opcode {
            CLOSE | PING | PONG if !fin || second & 0x7f > 125 => Err(Fault::protocol("a control frame is too long")),
            CLOSE | PING | PONG => Ok(()),
            0 if self.message.is_none() => Err(Fault::protocol("a continuation without a message")),
            TEXT | BINARY if self.message.is_some() => Err(Fault::protocol("a message inside a message")),
            0 | TEXT | BINARY => Ok(()),
            _ => Err(Fault::protocol("an unknown opcode")),
        }
    }

    fn begin(&mut self) -> Result<(), Fault> {
        let wide = |from: usize, to: usize| self.head[from..to].iter().fold(0u64, |sum, b| sum << 8 | u64::from(*b));
        let left = match self.head[1] & 0x7f {
            126 => wide(2, 4),
            127 => wide(2, 10),
            short => u64::from(short),
        };
        if left > i64::MAX as u64 {
            return Err(Fault::protocol("a frame length of 64 bits"));
        }
        let end = self.head_length();
        let mut mask = [0; 4];
        if self.masked {
            mask.copy_from_slice(&self.head[end - 4..end]);
        }
        let opcode = self.head[0] & 0x0f;
        let text = if opcode == 0 { self.message == Some(true) } else { opcode == TEXT };
        let fin = self.head[0] & FIN != 0;
        self.frame = Some(FrameLeft { opcode, fin, start: opcode != 0, text, left, mask, mask_at: 0 });
        self.head_filled = 0;
        Ok(())
    }
}

impl FrameLeft {
    fn unmask(&mut self, bytes: &mut [u8]) {
        let mut mask = self.mask;
        mask.rotate_left(self.mask_at);
        let [a, b, c, d] = mask;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (eights, rest) = bytes.as_chunks_mut::<8>();
        eights.iter_mut().for_each(|eight| *eight = (u64::from_ne_bytes(*eight) ^ wide).to_ne_bytes());
        rest.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, m)| *byte ^= m);
        self.mask_at = (self.mask_at + bytes.len()) % 4;
        self.left -= bytes.len() as u64;
    }
}

fn control(opcode: u8, payload: Vec<u8>) -> Result<Event<'static>, Fault> {
    match (opcode, payload.as_slice()) {
        (PING, _) => Ok(Event::Ping(payload)),
        (PONG, _) => Ok(Event::Pong),
        (_, []) => Ok(Event::Close(None)),
        (_, [high, low, ..]) => match u16::from_be_bytes([*high, *low]) {
            code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Ok(Event::Close(Some(code))),
            _ => Err(Fault::protocol("a close code that may not be sent")),
        },
        (_, [_]) => Err(Fault::protocol("a close code of one byte")),
    }
}

/// Encodes the head of a whole, unmasked message or control frame. Returns an array and how many bytes of it are used.
pub fn head(opcode: u8, length: usize) -> ([u8; 10], usize) {
    let mut head = [0; 10];
    head[0] = FIN | opcode;
    match length {
        0..=125 => {
            head[1] = length as u8;
            (head, 2)
        }
        126..=0xffff => {
            head[1] = 126;
            head[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            (head, 4)
        }
        _ => {
            head[1] = 127;
            head[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            (head, 10)
        }
    }
}

/// Encodes a whole frame without a mask.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let (head, length) = head(opcode, payload.len());
    [&head[..length], payload].concat()
}

/// Encodes a whole frame as clients send it.
pub fn masked_frame(opcode: u8, fin: bool, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let (head, length) = head(opcode, payload.len());
    let mut frame = [&head[..length], &mask].concat();
    frame[0] = if fin { frame[0] } else { opcode };
    frame[1] |= MASKED;
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, m)| byte ^ m));
    frame
}

/// Encodes a Close frame.
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    let most = reason.len().min(123);
    frame(CLOSE, &[&code.to_be_bytes(), &reason.as_bytes()[..most]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [1, 2, 3, 4];

    fn events(wire: &[u8], step: usize) -> Result<Vec<String>, Fault> {
        let (mut decoder, mut wire) = (Decoder::server(), wire.to_vec());
        let mut seen = Vec::new();
        for part in wire.chunks_mut(step) {
            let mut input = part;
            while let Some(event) = decoder.next(&mut input)? {
                seen.push(format!("{event:?}"));
            }
        }
        Ok(seen)
    }

    fn bytes_of(wire: &[u8], step: usize) -> Vec<u8> {
        let (mut decoder, mut wire) = (Decoder::server(), wire.to_vec());
        let mut all = Vec::new();
        for part in wire.chunks_mut(step) {
            let mut input = part;
            while let Some(event) = decoder.next(&mut input).unwrap() {
                if let Event::Piece { bytes, .. } = event {
                    all.extend_from_slice(bytes);
                }
            }
        }
        all
    }

    #[test]
    fn messages_survive_fragments_pings_and_any_segmentation() {
        let wire = [
            masked_frame(BINARY, false, MASK, b"hello "),
            masked_frame(PING, true, MASK, b"p"),
            masked_frame(0, true, MASK, &[b'x'; 300]),
            masked_frame(BINARY, true, [9, 8, 7, 6], &[b'y'; 70_000]),
        ]
        .concat();
        let expected = [&b"hello "[..], &[b'x'; 300], &[b'y'; 70_000]].concat();
        for step in [1, 2, 3, 7, 1000, wire.len()] {
            assert_eq!(bytes_of(&wire, step), expected);
        }
        let seen = events(&wire, wire.len()).unwrap();
        assert_eq!(seen.len(), 4);
        assert_eq!(seen[1], "Ping([112])");
        assert!(seen[0].contains("start: true, end: false") && seen[2].contains("start: false, end: true"));
    }

    #[test]
    fn an_empty_message_is_one_empty_piece() {
        let seen = events(&masked_frame(TEXT, true, MASK, b""), 1).unwrap();
        assert_eq!(seen, ["Piece { start: true, end: true, text: true, bytes: [] }"]);
    }

    #[test]
    fn frames_against_the_rules_are_protocol_errors() {
        let good = masked_frame(BINARY, true, MASK, b"x");
        let flip = |at: usize, bits: u8| {
            let mut frame = good.clone();
            frame[at] ^= bits;
            frame
        };
        let long_ping = masked_frame(PING, true, MASK, &[0; 126]);
        let huge = [0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        let nested = [masked_frame(BINARY, false, MASK, b"a"), good.clone()].concat();
        let bad: Vec<Vec<u8>> = vec![
            frame(BINARY, b"unmasked"),
            flip(0, 0x40),
            flip(0, 0x20),
            flip(0, 0x10),
            flip(0, 0x01),
            masked_frame(0, true, MASK, b"orphan"),
            masked_frame(PING, false, MASK, b""),
            masked_frame(CLOSE, true, MASK, b"x"),
            masked_frame(CLOSE, true, MASK, &1005u16.to_be_bytes()),
            long_ping,
            huge.to_vec(),
            nested,
        ];
        for wire in bad {
            assert_eq!(events(&wire, wire.len()).map_err(|fault| fault.code), Err(1002), "{wire:?}");
        }
        assert_eq!(events(&masked_frame(CLOSE, true, MASK, &1001u16.to_be_bytes()), 1).unwrap(), ["Close(Some(1001))"]);
    }

    #[test]
    fn a_length_of_eight_bytes_is_streamed() {
        let mut wire = vec![0x82, 0xff, 0, 0, 0, 0x10, 0, 0, 0, 0];
        wire.extend_from_slice(&[0; 4]);
        wire.extend_from_slice(&[5; 100]);
        assert_eq!(bytes_of(&wire, 64).len(), 100);
    }
}
