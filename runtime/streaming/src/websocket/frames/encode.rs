// SPDX-License-Identifier: Apache-2.0
//! Messages to bytes.

use super::frame::{CLOSE, FIN, MASKED};

/// Encodes the head of a whole, unmasked message or control frame. Returns an array and how many bytes of it are used.
pub fn head(opcode: u8, length: usize) -> ([u8; 10], usize) {
    let mut head = [0; 10];
    head[0] = FIN | opcode;
    match length {
        0..=125 => {
            head[1] = length as u8;
            (head, 2)
        }
        126..=0xffff => {
            head[1] = 126;
            head[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            (head, 4)
        }
        _ => {
            head[1] = 127;
            head[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            (head, 10)
        }
    }
}

/// Encodes a whole frame without a mask.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let (head, length) = head(opcode, payload.len());
    [&head[..length], payload].concat()
}

/// Encodes a whole frame as clients send it.
pub fn masked_frame(opcode: u8, fin: bool, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let (head, length) = head(opcode, payload.len());
    let mut frame = [&head[..length], &mask].concat();
    frame[0] = if fin { frame[0] } else { opcode };
    frame[1] |= MASKED;
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, m)| byte ^ m));
    frame
}

/// Encodes a Close frame.
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    let most = reason.len().min(123);
    frame(CLOSE, &[&code.to_be_bytes(), &reason.as_bytes()[..most]].concat())
}
