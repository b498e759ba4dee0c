// SPDX-License-Identifier: Apache-2.0
//! SPDY frames on the wire.
//!
//! ```text
//! control: |1| version 3 (15) | type (16) | flags (8) | length (24) | payload
//! data:    |0| stream id (31)             | flags (8) | length (24) | payload
//! ```

mod decoder;
mod encode;
mod frame;

pub use decoder::{Decoder, MAX_CONTROL_PAYLOAD};
pub use encode::{data_head, goaway, ping, reset, syn_reply, syn_stream};
pub use frame::{FLAG_FIN, Frame, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, SYN_REPLY, SYN_STREAM, WINDOW_UPDATE};

#[cfg(test)]
mod tests;
