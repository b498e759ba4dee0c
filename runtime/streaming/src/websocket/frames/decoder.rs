// SPDX-License-Identifier: Apache-2.0
//! Bytes to pieces of messages.
//!
//! Data frames are passed on in the pieces they arrive in, unmasked in place; only control frames, at most 125 bytes
//! long, are collected. No memory is allocated for a length that a peer announced.

use super::frame::{BINARY, CLOSE, Event, FIN, MASKED, PING, PONG, TEXT};
use super::payload::Payload;
use crate::websocket::fault::Fault;

/// Cuts a byte stream into frames and frames into messages.
#[derive(Debug)]
pub struct Decoder {
    /// Whether frames must be masked, as those of clients are.
    masked: bool,
    head: [u8; 14],
    head_filled: usize,
    frame: Option<Payload>,
    control: Vec<u8>,
    /// Inside a fragmented message: whether it is text.
    message: Option<bool>,
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
        self.frame = Some(Payload { opcode, fin, start: opcode != 0, text, left, mask, mask_at: 0 });
        self.head_filled = 0;
        Ok(())
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
