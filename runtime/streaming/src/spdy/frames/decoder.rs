// SPDX-License-Identifier: Apache-2.0
//! Bytes to frames.
//!
//! The [`Decoder`] accepts whatever the transport delivers. It buffers at most one control frame (64 KiB) and passes
//! DATA on in the pieces it arrived in, so a frame of 16 MiB costs nothing. It never allocates memory for a length that
//! a peer announced before the bytes have arrived.

use super::frame::{
    FLAG_FIN, FLAG_UNIDIRECTIONAL, Frame, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, SYN_REPLY, SYN_STREAM,
    WINDOW_UPDATE,
};
use crate::spdy::fault::Fault;

/// The longest control frame payload that is read.
pub const MAX_CONTROL_PAYLOAD: usize = 64 * 1024;

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
