// SPDX-License-Identifier: Apache-2.0
//! Why a SPDY session, or one of its streams, cannot continue.

/// Why a session cannot continue: the peer violated the protocol.
///
/// Every variant ends the connection with GOAWAY(1). A fault of a single stream is answered with RST_STREAM and never
/// becomes a `Fault`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A control frame of another protocol version.
    #[error("control frame of version {0}, expected 3")]
    Version(u16),
    /// A control frame type that does not exist, or is not used here.
    #[error("control frame of unknown type {0}")]
    UnknownType(u16),
    /// A frame whose length does not fit its type.
    #[error("frame of type {kind} with length {length}")]
    Length {
        /// The control frame type.
        kind: u16,
        /// The length of its header field.
        length: usize,
    },
    /// A stream or ping id of zero, or a reset without a reason.
    #[error("frame of type {0} with a zero field that must not be zero")]
    Zero(u16),
    /// A header block that does not inflate.
    #[error("header block cannot be inflated: {0}")]
    Inflate(String),
    /// A header block that inflates to something malformed.
    #[error("header block is malformed: {0}")]
    Headers(&'static str),
    /// A header block above one of the limits of [`headers`](super::headers).
    #[error("header block is over the limit: {0}")]
    TooLarge(&'static str),
}

/// Reasons carried by RST_STREAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum ResetReason {
    /// The frame made no sense for the stream.
    ProtocolError = 1,
    /// The stream was refused before any processing.
    RefusedStream = 3,
    /// The sender has no more use for the stream.
    Cancel = 5,
    /// The sender failed.
    InternalError = 6,
}
