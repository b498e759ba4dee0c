// SPDX-License-Identifier: Apache-2.0
//! A SPDY connection inside the binary messages of a WebSocket, as crictl forwards ports.

use super::spdy::{self, Connection};
use crate::random::pieces;
use gorae_streaming::websocket::frames::{self, BINARY, Decoder, Event, PING, TEXT};

const MASK: [u8; 4] = [9, 0, 0x80, 0xff];

pub fn check(wire: &[u8]) {
    let mut payload = Vec::new();
    let whole = read([wire], Some(&mut payload));
    assert_eq!(whole, read(pieces(wire), None), "it depends on how the wire is cut");
    let mut bare = Connection::default();
    let fault = bare.feed(&payload).err().map(|fault| fault.to_string());
    assert_eq!((bare.trace.end(), fault.is_some()), (whole.0, whole.2), "the borders of messages mean something");
}

/// The trace of the SPDY connection, why the end came, and whether it was SPDY's fault. The payload is collected up
/// to the end.
fn read<'w>(
    parts: impl IntoIterator<Item = &'w [u8]>,
    mut payload: Option<&mut Vec<u8>>,
) -> (u32, Option<String>, bool) {
    let (mut decoder, mut connection) = (Decoder::server(), Connection::default());
    let mut feed = |part: &[u8]| -> Result<(), (String, bool)> {
        let mut copy = part.to_vec();
        let mut input = &mut copy[..];
        while let Some(event) = decoder.next(&mut input).map_err(|fault| (fault.to_string(), false))? {
            match event {
                Event::Piece { text: true, .. } => return Err(("text".into(), false)),
                Event::Piece { bytes, .. } => {
                    payload.iter_mut().for_each(|payload| payload.extend_from_slice(bytes));
                    connection.feed(bytes).map_err(|fault| (fault.to_string(), true))?;
                }
                Event::Close(code) => return Err((format!("close {code:?}"), false)),
                Event::Ping(_) | Event::Pong => {}
            }
        }
        Ok(())
    };
    let end = parts.into_iter().find_map(|part| feed(part).err());
    let (why, of_spdy) = end.map_or((None, false), |(why, of_spdy)| (Some(why), of_spdy));
    (connection.trace.end(), why, of_spdy)
}

pub fn seeds() -> Vec<Vec<u8>> {
    let frame = |opcode, payload: &[u8]| frames::masked_frame(opcode, true, MASK, payload);
    let session = spdy::session();
    let (first, second) = session.split_at(session.len() / 2);
    let halves = [frame(BINARY, first), frame(PING, b"p"), frame(BINARY, second)].concat();
    let bytes: Vec<u8> = session.iter().flat_map(|byte| frame(BINARY, &[*byte])).collect();
    vec![frame(BINARY, &session), halves, bytes, frame(TEXT, b"text"), frame(frames::CLOSE, &[3, 232])]
}
