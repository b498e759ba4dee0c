// SPDX-License-Identifier: Apache-2.0
//! Why a WebSocket connection cannot continue.

/// The peer violated the protocol. It gets a Close with the code.
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
