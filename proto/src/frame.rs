// SPDX-License-Identifier: Apache-2.0
//! One shim message on a stream socket: a little-endian `u32` length, then that many bytes of [`Frame`].

use crate::shim::Frame;
use prost::Message;

/// The largest frame body. A CRI request is at most 16 MiB; nothing derived from one is larger.
pub const MAX_FRAME: usize = 16 << 20;

/// Why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameError {
    /// The length prefix is above [`MAX_FRAME`]; the connection is unusable from then on.
    TooLong(usize),
    /// The body is not a `Frame` message.
    Malformed(String),
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong(n) => write!(f, "frame of {n} bytes is above the limit of {MAX_FRAME}"),
            Self::Malformed(why) => write!(f, "frame cannot be decoded: {why}"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Encodes a frame with its length prefix.
///
/// # Errors
/// [`FrameError::TooLong`] when the message is larger than [`MAX_FRAME`].
pub fn encode(frame: &Frame) -> Result<Vec<u8>, FrameError> {
    let len = frame.encoded_len();
    if len > MAX_FRAME {
        return Err(FrameError::TooLong(len));
    }
    let mut out = Vec::with_capacity(4 + len);
    out.extend_from_slice(&(len as u32).to_le_bytes());
    frame.encode_raw(&mut out);
    Ok(out)
}

/// Removes the first whole frame from the front of `buffer`; `None` when more bytes are needed.
///
/// - Shapes: bytes of later frames stay in `buffer`.
///
/// # Errors
/// Both variants of [`FrameError`]; after either the stream is out of step and must be closed.
pub fn decode(buffer: &mut Vec<u8>) -> Result<Option<Frame>, FrameError> {
    let Some(prefix) = buffer.first_chunk::<4>() else { return Ok(None) };
    let len = u32::from_le_bytes(*prefix) as usize;
    if len > MAX_FRAME {
        return Err(FrameError::TooLong(len));
    }
    if buffer.len() < 4 + len {
        return Ok(None);
    }
    let frame = Frame::decode(&buffer[4..4 + len]).map_err(|e| FrameError::Malformed(e.to_string()))?;
    buffer.drain(..4 + len);
    Ok(Some(frame))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shim::{GetState, Request, frame::Body, request::Verb};

    fn sample(id: u64) -> Frame {
        Frame { body: Some(Body::Request(Request { id, verb: Some(Verb::GetState(GetState {})) })) }
    }

    #[test]
    fn two_frames_come_out_in_order_however_the_bytes_arrive() {
        let mut wire = encode(&sample(7)).expect("small");
        wire.extend(encode(&sample(8)).expect("small"));
        let (mut buffer, mut seen) = (Vec::new(), Vec::new());
        for byte in wire {
            buffer.push(byte);
            if let Some(frame) = decode(&mut buffer).expect("valid") {
                seen.push(frame);
            }
        }
        assert_eq!(seen, [sample(7), sample(8)]);
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_any_body() {
        let mut buffer = (MAX_FRAME as u32 + 1).to_le_bytes().to_vec();
        assert_eq!(decode(&mut buffer), Err(FrameError::TooLong(MAX_FRAME + 1)));
    }

    #[test]
    fn a_body_that_is_no_message_is_refused() {
        let mut buffer = vec![2, 0, 0, 0, 0xff, 0xff];
        assert!(matches!(decode(&mut buffer), Err(FrameError::Malformed(_))));
    }
}
