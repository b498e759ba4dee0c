// SPDX-License-Identifier: Apache-2.0
//! Frames to bytes.

use super::frame::{FLAG_FIN, GOAWAY, PING, RST_STREAM, SYN_REPLY, SYN_STREAM};
use crate::spdy::fault::ResetReason;

/// Encodes the head of a DATA frame.
///
/// - Shapes: `length` below 2^24.
pub fn data_head(id: u32, fin: bool, length: usize) -> [u8; 8] {
    head(id, if fin { FLAG_FIN } else { 0 }, length)
}

pub(super) fn head(first: u32, flags: u8, length: usize) -> [u8; 8] {
    debug_assert!(length < 1 << 24, "a frame length has 24 bits");
    let [a, b, c, d] = first.to_be_bytes();
    let [_, x, y, z] = (length as u32).to_be_bytes();
    [a, b, c, d, flags, x, y, z]
}

pub(super) fn control_frame(kind: u16, flags: u8, fields: &[u32], rest: &[u8]) -> Vec<u8> {
    let length = fields.len() * 4 + rest.len();
    let mut frame = Vec::with_capacity(8 + length);
    frame.extend_from_slice(&head(0x8003_0000 | u32::from(kind), flags, length));
    fields.iter().for_each(|field| frame.extend_from_slice(&field.to_be_bytes()));
    frame.extend_from_slice(rest);
    frame
}

/// Encodes a whole SYN_STREAM frame around a compressed header block.
pub fn syn_stream(id: u32, fin: bool, block: &[u8]) -> Vec<u8> {
    let rest = [&[0, 0], block].concat();
    control_frame(SYN_STREAM, u8::from(fin), &[id, 0], &rest)
}

/// Encodes a whole SYN_REPLY frame around a compressed header block.
pub fn syn_reply(id: u32, block: &[u8]) -> Vec<u8> {
    control_frame(SYN_REPLY, 0, &[id], block)
}

/// Encodes a RST_STREAM frame.
pub fn reset(id: u32, reason: ResetReason) -> Vec<u8> {
    control_frame(RST_STREAM, 0, &[id, reason as u32], &[])
}

/// Encodes a PING frame; the reply to a ping is the same frame.
pub fn ping(id: u32) -> Vec<u8> {
    control_frame(PING, 0, &[id], &[])
}

/// Encodes a GOAWAY frame: `last` is the last stream of the peer that was accepted.
pub fn goaway(last: u32, status: u32) -> Vec<u8> {
    control_frame(GOAWAY, 0, &[last, status], &[])
}
