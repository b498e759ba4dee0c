// SPDX-License-Identifier: Apache-2.0
//! The opcodes of frames, and what arrives in them.

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

/// The last frame of a message.
pub(super) const FIN: u8 = 0x80;
/// The payload is masked.
pub(super) const MASKED: u8 = 0x80;

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
