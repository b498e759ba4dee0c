// SPDX-License-Identifier: Apache-2.0
//! One stream to the client, over either transport.

use super::link::Link;
use super::outbox::{CHUNK, Frame, Room};
use crate::spdy::{ResetReason, Session, frames};
use crate::websocket::{Codec, frames as messages};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::{Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// A SPDY session that the reader and the outlets of one connection share. It is locked for only a few instructions.
pub(crate) type SharedSession = Mutex<Session>;

/// The destination of a stream's bytes.
#[derive(Debug, Clone)]
pub(crate) enum Outlet<'l> {
    /// A SPDY stream.
    Spdy {
        /// The connection.
        link: &'l Link,
        /// Its streams.
        session: &'l SharedSession,
        /// The stream's id.
        id: u32,
        /// Cancelled when the client resets the stream.
        closed: CancellationToken,
    },
    /// A channel of WebSocket messages.
    Channel {
        /// The connection.
        link: &'l Link,
        /// The channel's number.
        number: u8,
        /// How messages are written.
        codec: Codec,
    },
}

impl Outlet<'_> {
    fn link(&self) -> &Link {
        match self {
            Self::Spdy { link, .. } | Self::Channel { link, .. } => link,
        }
    }

    /// The most bytes to send at once.
    pub(crate) fn chunk(&self) -> usize {
        match self {
            Self::Channel { codec: Codec::Base64, .. } => CHUNK / 4 * 3,
            _ => CHUNK,
        }
    }

    /// Queues bytes in their reserved room.
    pub(crate) fn send(&self, bytes: Vec<u8>, room: Room<'_>) {
        if let Some(frame) = self.frame(bytes) {
            self.link().outbox.send(frame, room);
        }
    }

    /// Queues a short text, such as a status, behind the data, without waiting for room.
    pub(crate) fn say(&self, text: Vec<u8>) {
        if let Some(frame) = self.frame(text) {
            self.link().outbox.follow(frame);
        }
    }

    fn frame(&self, bytes: Vec<u8>) -> Option<Frame> {
        match self {
            Self::Spdy { session, id, .. } => {
                let may_send = session.lock().unwrap_or_else(PoisonError::into_inner).may_send(*id);
                may_send.then(|| Frame::new(&frames::data_head(*id, false, bytes.len()), bytes))
            }
            Self::Channel { number, codec, .. } => Some(channel_message(*codec, *number, bytes)),
        }
    }

    /// Ends the stream behind its data. A channel cannot be ended.
    pub(crate) fn finish(&self) {
        let Self::Spdy { link, session, id, .. } = self else { return };
        if session.lock().unwrap_or_else(PoisonError::into_inner).finish(*id) {
            link.outbox.follow(Frame::new(&frames::data_head(*id, true, 0), Vec::new()));
        }
    }

    /// Ends both directions of the stream behind its data.
    pub(crate) fn reset(&self, reason: ResetReason) {
        let Self::Spdy { link, session, id, .. } = self else { return };
        if let Some(reset) = session.lock().unwrap_or_else(PoisonError::into_inner).reset(*id, reason) {
            link.outbox.follow(Frame::new(&[], reset));
        }
    }

    /// Whether the client has reset the stream.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self, Self::Spdy { closed, .. } if closed.is_cancelled())
    }

    /// Resolves when the client has reset the stream.
    pub(crate) async fn closed(&self) {
        match self {
            Self::Spdy { closed, .. } => closed.cancelled().await,
            Self::Channel { .. } => std::future::pending().await,
        }
    }
}

/// Writes a message of a channel: a binary one, or text in base64.
fn channel_message(codec: Codec, channel: u8, bytes: Vec<u8>) -> Frame {
    match codec {
        Codec::Binary => {
            let (head, length) = messages::head(messages::BINARY, bytes.len() + 1);
            let mut whole = [0; 11];
            whole[..length].copy_from_slice(&head[..length]);
            whole[length] = channel;
            Frame::new(&whole[..length + 1], bytes)
        }
        Codec::Base64 => {
            let mut text = String::with_capacity(1 + bytes.len().div_ceil(3) * 4);
            text.push(char::from(b'0' + channel));
            STANDARD.encode_string(&bytes, &mut text);
            let (head, length) = messages::head(messages::TEXT, text.len());
            Frame::new(&head[..length], text.into_bytes())
        }
    }
}
