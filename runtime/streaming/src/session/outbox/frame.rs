// SPDX-License-Identifier: Apache-2.0
//! A frame on its way to the socket.

use crate::websocket;

/// A frame: a short head and a body that is not copied.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(super) head: [u8; 16],
    pub(super) head_length: usize,
    pub(super) body: Vec<u8>,
    pub(super) cost: usize,
    pub(super) pong: bool,
}

impl Frame {
    /// A frame whose head is at most 12 bytes long.
    pub(crate) fn new(head: &[u8], body: Vec<u8>) -> Self {
        let mut frame = Self { head: [0; 16], head_length: head.len(), body, cost: 0, pong: false };
        frame.head[..head.len()].copy_from_slice(head);
        frame
    }

    fn length(&self) -> usize {
        self.head_length + self.body.len()
    }

    /// Puts the head of a binary WebSocket message before the frame.
    pub(super) fn wrap(&mut self) {
        let (message, length) = websocket::frames::head(websocket::frames::BINARY, self.length());
        self.head.copy_within(0..self.head_length, length);
        self.head[..length].copy_from_slice(&message[..length]);
        self.head_length += length;
    }
}
