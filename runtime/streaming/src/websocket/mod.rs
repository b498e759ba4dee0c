// SPDX-License-Identifier: Apache-2.0
//! WebSocket (RFC 6455) as Kubernetes clients speak it, without any I/O.
//!
//! - [`frames`]: bytes to pieces of messages and back. No extension exists here, so a reserved bit is a fault.
//! - [`channels`]: messages to the numbered channels of a session.
//! - [`protocol`]: which subprotocols there are and what each of them means.
//!
//! Own code and not a library, because a message on stdin may be as long as a file: pieces are handed on as they
//! come, where a library would collect the message first.

pub mod channels;
pub mod frames;
pub mod protocol;

pub use protocol::{Codec, Protocol, Version};

/// Why a connection cannot go on: the peer broke the protocol. It gets a Close with the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (close code {code})")]
pub struct Fault {
    /// 1002 protocol error, 1003 unacceptable kind of message, 1009 too big.
    pub code: u16,
    /// What was wrong.
    pub reason: &'static str,
}

impl Fault {
    pub(crate) const fn protocol(reason: &'static str) -> Self {
        Self { code: 1002, reason }
    }
}
