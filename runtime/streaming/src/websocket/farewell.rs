// SPDX-License-Identifier: Apache-2.0
//! How a client ends a WebSocket connection, and the Close that it gets back.

use super::fault::Fault;
use super::frames;

/// How the client ended the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// It sent Close, with this code if it included one.
    Close(Option<u16>),
    /// It violated the protocol.
    Fault(Fault),
    /// It closed the connection without a Close, or the connection broke.
    Cut,
}

impl Farewell {
    /// Encodes the Close that answers the client; `None` when no answer is due.
    pub fn answer(self) -> Option<Vec<u8>> {
        match self {
            Self::Close(code) => Some(frames::close(code.unwrap_or(1000), "")),
            Self::Fault(fault) => Some(frames::close(fault.code, fault.reason)),
            Self::Cut => None,
        }
    }
}
