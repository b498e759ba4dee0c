// SPDX-License-Identifier: Apache-2.0
//! WebSocket frames of a client, up to the channels of a session. The first byte chooses the subprotocol.

use crate::random::pieces;
use crate::trace::Trace;
use gorae_streaming::websocket::channels::{Channels, HalfClose, Input};
use gorae_streaming::websocket::frames::{self, BINARY, CLOSE, Decoder, Event, PING, PONG, TEXT};
use gorae_streaming::websocket::{Codec, Fault};

const MASK: [u8; 4] = [0xa1, 2, 0xf3, 0x44];

pub fn check(input: &[u8]) {
    let Some((choice, wire)) = input.split_first() else { return };
    assert_eq!(read(*choice, [wire]), read(*choice, pieces(wire)), "it depends on how the wire is cut");
    comes_back(wire);
}

fn read<'w>(choice: u8, parts: impl IntoIterator<Item = &'w [u8]>) -> (u32, Option<Fault>) {
    let codec = if choice & 1 == 0 { Codec::Binary } else { Codec::Base64 };
    let half_close = if choice & 2 == 0 { HalfClose::Spoken } else { HalfClose::Unknown };
    let mut channels = Channels::new(codec, half_close, |channel| channel == 0);
    let (mut decoder, mut trace) = (Decoder::server(), Trace::default());
    let fault = parts.into_iter().find_map(|part| feed(&mut decoder, &mut channels, part, &mut trace).err());
    (trace.end(), fault)
}

fn feed(decoder: &mut Decoder, channels: &mut Channels, part: &[u8], trace: &mut Trace) -> Result<(), Fault> {
    let mut copy = part.to_vec();
    let mut input = &mut copy[..];
    while let Some(event) = decoder.next(&mut input)? {
        channels.piece(&event, |input| match input {
            Input::Bytes { channel, bytes } => {
                assert!(!bytes.is_empty(), "a message without bytes");
                trace.bytes(channel.into(), bytes);
            }
            Input::HalfClosed { channel } => {
                assert!(channel <= 4, "a channel that does not exist");
                trace.event(("half-closed", channel));
            }
        })?;
        if !matches!(event, Event::Piece { .. }) {
            trace.event(event);
        }
    }
    assert!(input.is_empty(), "bytes are left that were not asked for again");
    Ok(())
}

/// What a client sends in fragments, and what a server sends, arrives as it was.
fn comes_back(payload: &[u8]) {
    let mut parts = pieces(payload).peekable();
    let (mut sent, mut opcode) = (Vec::new(), BINARY);
    while let Some(part) = parts.next() {
        sent.extend(frames::masked_frame(opcode, parts.peek().is_none(), MASK, part));
        opcode = 0;
    }
    assert_eq!(message(Decoder::server(), sent), payload, "a message of a client");
    assert_eq!(message(Decoder::client(), frames::frame(BINARY, payload)), payload, "a message of the server");
}

fn message(mut decoder: Decoder, mut wire: Vec<u8>) -> Vec<u8> {
    let (mut input, mut message) = (&mut wire[..], Vec::new());
    while let Some(event) = decoder.next(&mut input).expect("correct frames") {
        if let Event::Piece { bytes, .. } = event {
            message.extend_from_slice(bytes);
        }
    }
    message
}

pub fn seeds() -> Vec<Vec<u8>> {
    let frame = |opcode, payload: &[u8]| frames::masked_frame(opcode, true, MASK, payload);
    let binary = [
        frame(BINARY, b"\0hello"),
        frames::masked_frame(BINARY, false, MASK, b"\x04{\"Width\":1"),
        frame(PING, b"are you there"),
        frame(0, b",\"Height\":2}"),
        frame(BINARY, &[255, 0]),
        frame(TEXT, b"\0text"),
        frame(BINARY, &[0; 300]),
        frame(PONG, b""),
        frame(CLOSE, &1000u16.to_be_bytes()),
    ]
    .concat();
    let base64 = [frame(TEXT, b"0aGVsbG8="), frame(TEXT, b"0!!!"), frame(TEXT, b"4e30="), frame(CLOSE, b"")].concat();
    let endless = [&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0][..], &MASK, &[5; 40]].concat();
    let seed = |choice: u8, wire: &[u8]| [&[choice], wire].concat();
    vec![seed(0, &binary), seed(2, &binary), seed(1, &base64), seed(3, &base64), seed(0, &endless)]
}
