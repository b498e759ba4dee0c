// SPDX-License-Identifier: Apache-2.0
//! Maps the messages of clients to channels: the first byte of a message is the channel.
//!
//! Binary messages are passed on as their pieces arrive. Base64 messages are collected, because a bad one is dropped
//! whole.

use super::fault::Fault;
use super::frames::Event;
use super::protocol::Codec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The longest message that must be collected, or that goes to a channel without endless messages: 1 MiB.
pub const MAX_MESSAGE: usize = 1024 * 1024;
const HALF_CLOSE: u8 = 255;
const TOO_BIG: Fault = Fault { code: 1009, reason: "a message is too big" };

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Input<'i> {
    /// Bytes on a channel, never empty.
    Bytes {
        /// The channel.
        channel: u8,
        /// The bytes.
        bytes: &'i [u8],
    },
    /// The client sends nothing more on a channel (v5).
    HalfClosed {
        /// The channel, 0..=4.
        channel: u8,
    },
}

/// Whether a client ends a channel with `[255, channel]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HalfClose {
    /// It does; the message is not data.
    Spoken,
    /// It does not, and 255 is a channel like any other.
    Unknown,
}

/// Splits messages into their channels.
#[derive(Debug)]
pub struct Channels {
    codec: Codec,
    half_close: HalfClose,
    /// Whether a channel may carry endless messages.
    endless: fn(u8) -> bool,
    channel: Option<u8>,
    length: usize,
    collected: Vec<u8>,
}

impl Channels {
    /// Makes the splitter of a connection.
    pub fn new(codec: Codec, half_close: HalfClose, endless: fn(u8) -> bool) -> Self {
        Self { codec, half_close, endless, channel: None, length: 0, collected: Vec::new() }
    }

    /// Handles one event of the frame layer; events other than pieces are ignored.
    ///
    /// # Errors
    /// A [`Fault`] that ends the connection.
    pub fn piece(&mut self, event: &Event<'_>, mut deliver: impl FnMut(Input<'_>)) -> Result<(), Fault> {
        let Event::Piece { start, end, bytes, .. } = *event else { return Ok(()) };
        if start {
            (self.channel, self.length) = (None, 0);
            self.collected.clear();
        }
        self.length = self.length.saturating_add(bytes.len());
        match self.codec {
            Codec::Binary => self.binary(bytes, end, &mut deliver),
            Codec::Base64 => self.base64(bytes, end, &mut deliver),
        }
    }

    fn binary(&mut self, bytes: &[u8], end: bool, deliver: &mut impl FnMut(Input<'_>)) -> Result<(), Fault> {
        let (channel, bytes) = match (self.channel, bytes) {
            (Some(channel), bytes) => (channel, bytes),
            (None, [channel, bytes @ ..]) => (*channel, bytes),
            (None, []) => return Ok(()),
        };
        self.channel = Some(channel);
        if channel == HALF_CLOSE && self.half_close == HalfClose::Spoken {
            return self.half_closed(bytes, end, deliver);
        }
        if self.length > MAX_MESSAGE && !(self.endless)(channel) {
            return Err(TOO_BIG);
        }
        if !bytes.is_empty() {
            deliver(Input::Bytes { channel, bytes });
        }
        Ok(())
    }

    fn half_closed(&mut self, bytes: &[u8], end: bool, deliver: &mut impl FnMut(Input<'_>)) -> Result<(), Fault> {
        self.collected.extend_from_slice(&bytes[..bytes.len().min(2)]);
        match *self.collected {
            [] if !end => Ok(()),
            [channel @ 0..=4] if self.length == 2 => {
                if end {
                    deliver(Input::HalfClosed { channel });
                }
                Ok(())
            }
            _ => Err(Fault::protocol("a malformed half-close")),
        }
    }

    fn base64(&mut self, bytes: &[u8], end: bool, deliver: &mut impl FnMut(Input<'_>)) -> Result<(), Fault> {
        if self.length > MAX_MESSAGE {
            return Err(TOO_BIG);
        }
        self.collected.extend_from_slice(bytes);
        let (true, [digit, text @ ..]) = (end, self.collected.as_slice()) else { return Ok(()) };
        let Some(channel) = digit.checked_sub(b'0') else { return Ok(()) };
        if let Ok(bytes) = STANDARD.decode(text)
            && !bytes.is_empty()
        {
            deliver(Input::Bytes { channel, bytes: &bytes });
        }
        self.collected = Vec::new();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(channels: &mut Channels, pieces: &[&[u8]]) -> Result<Vec<String>, Fault> {
        let mut seen = Vec::new();
        for (at, bytes) in pieces.iter().enumerate() {
            let event = Event::Piece { start: at == 0, end: at + 1 == pieces.len(), text: false, bytes };
            channels.piece(&event, |input| seen.push(format!("{input:?}")))?;
        }
        Ok(seen)
    }

    #[test]
    fn the_channel_byte_may_come_alone() {
        let mut channels = Channels::new(Codec::Binary, HalfClose::Spoken, |channel| channel == 0);
        let seen = run(&mut channels, &[b"", b"\0", b"a", b"b"]).unwrap();
        assert_eq!(seen, ["Bytes { channel: 0, bytes: [97] }", "Bytes { channel: 0, bytes: [98] }"]);
        assert!(run(&mut channels, &[b""]).unwrap().is_empty());
    }

    #[test]
    fn a_half_close_has_exactly_two_bytes_and_a_channel_up_to_four() {
        let mut channels = Channels::new(Codec::Binary, HalfClose::Spoken, |channel| channel == 0);
        for pieces in [&[&[255, 0][..]][..], &[&[255], &[0]], &[&[255, 0], &[]]] {
            assert_eq!(run(&mut channels, pieces).unwrap(), ["HalfClosed { channel: 0 }"]);
        }
        for wrong in [&[255][..], &[255, 0, 0], &[255, 9]] {
            assert_eq!(run(&mut channels, &[wrong]).map_err(|fault| fault.code), Err(1002), "{wrong:?}");
        }
        let mut before_v5 = Channels::new(Codec::Binary, HalfClose::Unknown, |channel| channel == 0);
        assert_eq!(run(&mut before_v5, &[&[255, 0]]).unwrap(), ["Bytes { channel: 255, bytes: [0] }"]);
    }

    #[test]
    fn only_endless_channels_take_long_messages() {
        let mut channels = Channels::new(Codec::Binary, HalfClose::Spoken, |channel| channel == 0);
        let long = vec![0; MAX_MESSAGE];
        assert!(run(&mut channels, &[&[0], &long, &long]).is_ok());
        assert_eq!(run(&mut channels, &[&[4], &long]).map_err(|fault| fault.code), Err(1009));
    }

    #[test]
    fn bad_base64_is_dropped() {
        let mut channels = Channels::new(Codec::Base64, HalfClose::Unknown, |channel| channel == 0);
        assert_eq!(run(&mut channels, &[b"0aG", b"k="]).unwrap(), ["Bytes { channel: 0, bytes: [104, 105] }"]);
        assert!(run(&mut channels, &[b"0!!!"]).unwrap().is_empty());
        assert!(run(&mut channels, &[b""]).unwrap().is_empty());
        assert_eq!(run(&mut channels, &[&vec![b'0'; MAX_MESSAGE + 1]]).map_err(|fault| fault.code), Err(1009));
    }
}
