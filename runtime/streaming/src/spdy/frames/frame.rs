// SPDX-License-Identifier: Apache-2.0
//! The types of frames, and what each carries.

/// Ends the sender's direction of a stream.
pub const FLAG_FIN: u8 = 0x01;
pub(super) const FLAG_UNIDIRECTIONAL: u8 = 0x02;
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
