// SPDX-License-Identifier: Apache-2.0
//! SPDY frames on the wire.
//!
//! ```text
//! control: |1| version 3 (15) | type (16) | flags (8) | length (24) | payload
//! data:    |0| stream id (31)             | flags (8) | length (24) | payload
//! ```
//!
//! The [`Decoder`] accepts whatever the transport delivers. It buffers at most one control frame (64 KiB) and passes
//! DATA on in the pieces it arrived in, so a frame of 16 MiB costs nothing. It never allocates memory for a length that
//! a peer announced before the bytes have arrived.

use super::fault::{Fault, ResetReason};

/// The longest control frame payload that is read.
pub const MAX_CONTROL_PAYLOAD: usize = 64 * 1024;

/// Ends the sender's direction of a stream.
pub const FLAG_FIN: u8 = 0x01;
const FLAG_UNIDIRECTIONAL: u8 = 0x02;

/// Type of a frame that opens a stream.
pub const SYN_STREAM: u16 = 1;
/// Type of a frame that accepts a stream.
pub const SYN_REPLY: u16 = 2;
/// Type of a frame that ends both directions of a stream.
pub const RST_STREAM: u16 = 3;
/// Type of a frame with parameters.
pub const SETTINGS: u16 = 4;
/// Type of a ping and of its reply.
pub const PING: u16 = 6;
/// Type of the last frame of a session.
pub const GOAWAY: u16 = 7;
/// Type of a frame with more headers of a stream.
pub const HEADERS: u16 = 8;
/// Type of a flow control frame.
pub const WINDOW_UPDATE: u16 = 9;

/// One frame, or one piece of a DATA frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'i> {
    /// A new stream. `id` is as received, with its reserved bit, so that a refusal can name it.
    SynStream {
        /// Stream id, 32 bits.
        id: u32,
        /// Whether the sender has already ended its direction.
        fin: bool,
        /// Whether the receiver may not send.
        unidirectional: bool,
        /// Compressed header block.
        block: Vec<u8>,
    },
    /// The reply to a SYN_STREAM.
    SynReply {
        /// Stream id.
        id: u32,
        /// Whether the sender has already ended its direction.
        fin: bool,
        /// Compressed header block.
        block: Vec<u8>,
    },
    /// Ends both directions of a stream.
    Reset {
        /// Stream id.
        id: u32,
        /// Reason, never zero.
        status: u32,
    },
    /// Parameters, all of them irrelevant here.
    Settings,
    /// A ping or the reply to one.
    Ping {
        /// Odd from a client, never zero.
        id: u32,
    },
    /// The sender opens and accepts no more streams.
    GoAway {
        /// 0 OK, 1 protocol error, 2 internal error.
        status: u32,
    },
    /// More headers of an open stream.
    Headers {
        /// Stream id.
        id: u32,
        /// Whether the sender ends its direction.
        fin: bool,
        /// Compressed header block.
        block: Vec<u8>,
    },
    /// Flow control, which this dialect does not use.
    WindowUpdate,
    /// A piece of a DATA frame, empty only when the frame is.
    Data {
        /// Stream id.
        id: u32,
        /// The bytes, borrowed from the input.
        bytes: &'i [u8],
        /// Whether this is the last piece of a frame that ends the sender's direction.
        fin: bool,
    },
}

/// Cuts a byte stream into frames.
#[derive(Debug, Default)]
pub struct Decoder {
    head: [u8; 8],
    head_filled: usize,
    payload: Vec<u8>,
    data: Option<DataLeft>,
}

#[derive(Debug)]
struct DataLeft {
    id: u32,
    fin: bool,
    left: usize,
}

impl Decoder {
    /// Makes a decoder at the start of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Consumes bytes from the front of `input` until a frame (or a piece of one) is complete.
    ///
    /// Returns `None` when all of `input` has been consumed and more is needed.
    ///
    /// # Errors
    /// A [`Fault`], after which the connection must end and the decoder must not be used again.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Frame<'i>>, Fault> {
        if self.data.is_some() {
            return Ok(self.take_data(input));
        }
        if !self.fill_head(input) {
            return Ok(None);
        }
        let length = u32::from_be_bytes([0, self.head[5], self.head[6], self.head[7]]) as usize;
        if self.head[0] & 0x80 == 0 {
            return self.begin_data(length, input);
        }
        self.check_control(length)?;
        let missing = length - self.payload.len();
        self.payload.extend_from_slice(take(input, missing));
        if self.payload.len() < length {
            return Ok(None);
        }
        self.head_filled = 0;
        control(self.kind(), self.head[4], std::mem::take(&mut self.payload)).map(Some)
    }

    fn fill_head(&mut self, input: &mut &[u8]) -> bool {
        let part = take(input, 8 - self.head_filled);
        self.head[self.head_filled..self.head_filled + part.len()].copy_from_slice(part);
        self.head_filled += part.len();
        self.head_filled == 8
    }

    fn kind(&self) -> u16 {
        u16::from_be_bytes([self.head[2], self.head[3]])
    }

    /// Refuses an invalid frame before any of its payload is collected.
    fn check_control(&self, length: usize) -> Result<(), Fault> {
        let version = u16::from_be_bytes([self.head[0] & 0x7f, self.head[1]]);
        if version != 3 {
            return Err(Fault::Version(version));
        }
        let kind = self.kind();
        let fits = match kind {
            SYN_STREAM => length >= 10,
            SYN_REPLY | SETTINGS | HEADERS => length >= 4,
            RST_STREAM | GOAWAY | WINDOW_UPDATE => length == 8,
            PING => length == 4,
            _ => return Err(Fault::UnknownType(kind)),
        };
        if fits && length <= MAX_CONTROL_PAYLOAD { Ok(()) } else { Err(Fault::Length { kind, length }) }
    }

    fn begin_data<'i>(&mut self, length: usize, input: &mut &'i [u8]) -> Result<Option<Frame<'i>>, Fault> {
        let id = u32::from_be_bytes([self.head[0], self.head[1], self.head[2], self.head[3]]);
        if id == 0 {
            return Err(Fault::Zero(0));
        }
        let fin = self.head[4] & FLAG_FIN != 0;
        self.head_filled = 0;
        if length == 0 {
            return Ok(Some(Frame::Data { id, bytes: &[], fin }));
        }
        self.data = Some(DataLeft { id, fin, left: length });
        Ok(self.take_data(input))
    }

    fn take_data<'i>(&mut self, input: &mut &'i [u8]) -> Option<Frame<'i>> {
        let data = self.data.as_mut()?;
        let bytes = take(input, data.left);
        if bytes.is_empty() {
            return None;
        }
        data.left -= bytes.len();
        let (id, last) = (data.id, data.left == 0);
        let fin = last && data.fin;
        if last {
            self.data = None;
        }
        Some(Frame::Data { id, bytes, fin })
    }
}

fn take<'i>(input: &mut &'i [u8], most: usize) -> &'i [u8] {
    let (front, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    front
}

fn word(payload: &[u8], at: usize) -> u32 {
    payload.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// Parses the payload of a control frame whose type and length `check_control` has accepted.
fn control(kind: u16, flags: u8, mut payload: Vec<u8>) -> Result<Frame<'static>, Fault> {
    const ID: u32 = 0x7fff_ffff;
    let first = word(&payload, 0);
    let nonzero = |value: u32| if value == 0 { Err(Fault::Zero(kind)) } else { Ok(value) };
    let fin = flags & FLAG_FIN != 0;
    Ok(match kind {
        SYN_STREAM => Frame::SynStream {
            id: nonzero(first)?,
            fin,
            unidirectional: flags & FLAG_UNIDIRECTIONAL != 0,
            block: payload.split_off(10),
        },
        SYN_REPLY => Frame::SynReply { id: nonzero(first & ID)?, fin, block: payload.split_off(4) },
        HEADERS => Frame::Headers { id: nonzero(first & ID)?, fin, block: payload.split_off(4) },
        RST_STREAM => Frame::Reset { id: nonzero(first & ID)?, status: nonzero(word(&payload, 4))? },
        PING => Frame::Ping { id: nonzero(first)? },
        GOAWAY => Frame::GoAway { status: word(&payload, 4) },
        SETTINGS if first as usize == (payload.len() - 4) / 8 && (payload.len() - 4).is_multiple_of(8) => {
            Frame::Settings
        }
        SETTINGS => return Err(Fault::Length { kind, length: payload.len() }),
        _ => Frame::WindowUpdate,
    })
}

/// Encodes the head of a DATA frame.
///
/// - Shapes: `length` below 2^24.
pub fn data_head(id: u32, fin: bool, length: usize) -> [u8; 8] {
    head(id, if fin { FLAG_FIN } else { 0 }, length)
}

fn head(first: u32, flags: u8, length: usize) -> [u8; 8] {
    debug_assert!(length < 1 << 24, "a frame length has 24 bits");
    let [a, b, c, d] = first.to_be_bytes();
    let [_, x, y, z] = (length as u32).to_be_bytes();
    [a, b, c, d, flags, x, y, z]
}

fn control_frame(kind: u16, flags: u8, fields: &[u32], rest: &[u8]) -> Vec<u8> {
    let length = fields.len() * 4 + rest.len();
    let mut frame = Vec::with_capacity(8 + length);
    frame.extend_from_slice(&head(0x8003_0000 | u32::from(kind), flags, length));
    fields.iter().for_each(|field| frame.extend_from_slice(&field.to_be_bytes()));
    frame.extend_from_slice(rest);
    frame
}

/// Encodes a whole SYN_STREAM frame around a compressed header block.
pub fn syn_stream(id: u32, fin: bool, block: &[u8]) -> Vec<u8> {
    let rest = [&[0, 0], block].concat();
    control_frame(SYN_STREAM, u8::from(fin), &[id, 0], &rest)
}

/// Encodes a whole SYN_REPLY frame around a compressed header block.
pub fn syn_reply(id: u32, block: &[u8]) -> Vec<u8> {
    control_frame(SYN_REPLY, 0, &[id], block)
}

/// Encodes a RST_STREAM frame.
pub fn reset(id: u32, reason: ResetReason) -> Vec<u8> {
    control_frame(RST_STREAM, 0, &[id, reason as u32], &[])
}

/// Encodes a PING frame; the reply to a ping is the same frame.
pub fn ping(id: u32) -> Vec<u8> {
    control_frame(PING, 0, &[id], &[])
}

/// Encodes a GOAWAY frame: `last` is the last stream of the peer that was accepted.
pub fn goaway(last: u32, status: u32) -> Vec<u8> {
    control_frame(GOAWAY, 0, &[last, status], &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut input: &[u8]) -> Result<Vec<String>, Fault> {
        let mut decoder = Decoder::new();
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next(&mut input)? {
            frames.push(format!("{frame:?}"));
        }
        Ok(frames)
    }

    #[test]
    fn frames_split_at_any_byte_decode_alike() {
        let wire = [
            syn_stream(1, false, b"block"),
            ping(7),
            data_head(1, true, 3).to_vec(),
            b"abc".to_vec(),
            reset(1, ResetReason::Cancel),
            goaway(1, 0),
        ]
        .concat();
        let mut decoder = Decoder::new();
        let mut kinds = Vec::new();
        for byte in &wire {
            let mut input = std::slice::from_ref(byte);
            while let Some(frame) = decoder.next(&mut input).unwrap() {
                kinds.push(format!("{frame:?}"));
            }
            assert!(input.is_empty());
        }
        assert_eq!(kinds.len(), 7, "three data pieces of one byte each: {kinds:?}");
        assert_eq!(kinds[4], "Data { id: 1, bytes: [99], fin: true }");
        assert_eq!(all(&wire).unwrap().len(), 5);
    }

    #[test]
    fn fixed_lengths_off_by_one_are_faults() {
        for (kind, length) in [(RST_STREAM, 8), (PING, 4), (GOAWAY, 8), (WINDOW_UPDATE, 8)] {
            for wrong in [length - 1, length + 1] {
                let wire = control_frame(kind, 0, &[], &vec![1; wrong]);
                assert_eq!(all(&wire), Err(Fault::Length { kind, length: wrong }));
            }
            assert!(all(&control_frame(kind, 0, &[], &vec![1; length])).is_ok());
        }
        assert!(all(&control_frame(SYN_STREAM, 0, &[], &[1; 9])).is_err());
        assert!(all(&control_frame(SYN_REPLY, 0, &[], &[1; 3])).is_err());
    }

    #[test]
    fn versions_types_and_zero_fields_that_do_not_exist_are_faults() {
        let mut old = ping(1);
        old[1] = 2;
        assert_eq!(all(&old), Err(Fault::Version(2)));
        for kind in [0, 5, 10, 0xffff] {
            assert_eq!(all(&control_frame(kind, 0, &[1, 1], &[])), Err(Fault::UnknownType(kind)));
        }
        assert_eq!(all(&ping(0)), Err(Fault::Zero(PING)));
        assert_eq!(all(&control_frame(RST_STREAM, 0, &[1, 0], &[])), Err(Fault::Zero(RST_STREAM)));
        assert_eq!(all(&data_head(0, false, 0)), Err(Fault::Zero(0)));
    }

    #[test]
    fn settings_must_count_their_entries() {
        let settings = |count: u32, entries: usize| control_frame(SETTINGS, 0, &[count], &vec![0; entries * 8]);
        assert_eq!(all(&settings(2, 2)).unwrap(), ["Settings"]);
        assert!(all(&settings(u32::MAX, 1)).is_err());
        assert!(all(&control_frame(SETTINGS, 0, &[1], &[0; 9])).is_err());
    }

    #[test]
    fn a_long_control_frame_is_refused_before_its_payload_comes() {
        let head = head(0x8003_0001, 0, MAX_CONTROL_PAYLOAD + 1);
        assert!(matches!(all(&head), Err(Fault::Length { .. })));
    }

    #[test]
    fn a_data_frame_of_sixteen_mebibytes_is_not_buffered() {
        let length = (1 << 24) - 1;
        let mut decoder = Decoder::new();
        let mut left = length;
        assert_eq!(decoder.next(&mut &data_head(3, true, length)[..]), Ok(None));
        let chunk = vec![0u8; 60_000];
        while left > 0 {
            let mut input = &chunk[..left.min(chunk.len())];
            let Ok(Some(Frame::Data { bytes, fin, .. })) = decoder.next(&mut input) else { panic!("no piece") };
            left -= bytes.len();
            assert_eq!(fin, left == 0);
        }
    }
}
