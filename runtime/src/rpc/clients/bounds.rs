// SPDX-License-Identifier: Apache-2.0
//! Limits on what all clients may hold together.

/// Limits on what all clients may hold together.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections.
    pub connections: usize,
    /// Requests in flight.
    pub requests: usize,
    /// Bytes of these requests and of the responses that are being sent.
    pub bytes: usize,
}

impl Default for Bounds {
    /// kubelet has four connections, as many requests as it has workers, and messages of a few kilobytes. The largest
    /// message is 16 MiB.
    fn default() -> Self {
        Self { connections: 256, requests: 2048, bytes: 128 << 20 }
    }
}
