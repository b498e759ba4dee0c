// SPDX-License-Identifier: Apache-2.0
//! WebSocket frames on the wire.

mod decoder;
mod encode;
mod frame;
mod payload;

pub use decoder::Decoder;
pub use encode::{close, frame, head, masked_frame};
pub use frame::{BINARY, CLOSE, Event, PING, PONG, TEXT};

#[cfg(test)]
mod tests;
