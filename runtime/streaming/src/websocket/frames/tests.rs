// SPDX-License-Identifier: Apache-2.0

use super::*;
use crate::websocket::fault::Fault;

const MASK: [u8; 4] = [1, 2, 3, 4];

fn events(wire: &[u8], step: usize) -> Result<Vec<String>, Fault> {
    let (mut decoder, mut wire) = (Decoder::server(), wire.to_vec());
    let mut seen = Vec::new();
    for part in wire.chunks_mut(step) {
        let mut input = part;
        while let Some(event) = decoder.next(&mut input)? {
            seen.push(format!("{event:?}"));
        }
    }
    Ok(seen)
}

fn bytes_of(wire: &[u8], step: usize) -> Vec<u8> {
    let (mut decoder, mut wire) = (Decoder::server(), wire.to_vec());
    let mut all = Vec::new();
    for part in wire.chunks_mut(step) {
        let mut input = part;
        while let Some(event) = decoder.next(&mut input).unwrap() {
            if let Event::Piece { bytes, .. } = event {
                all.extend_from_slice(bytes);
            }
        }
    }
    all
}

#[test]
fn messages_survive_fragments_pings_and_any_segmentation() {
    let wire = [
        masked_frame(BINARY, false, MASK, b"hello "),
        masked_frame(PING, true, MASK, b"p"),
        masked_frame(0, true, MASK, &[b'x'; 300]),
        masked_frame(BINARY, true, [9, 8, 7, 6], &[b'y'; 70_000]),
    ]
    .concat();
    let expected = [&b"hello "[..], &[b'x'; 300], &[b'y'; 70_000]].concat();
    for step in [1, 2, 3, 7, 1000, wire.len()] {
        assert_eq!(bytes_of(&wire, step), expected);
    }
    let seen = events(&wire, wire.len()).unwrap();
    assert_eq!(seen.len(), 4);
    assert_eq!(seen[1], "Ping([112])");
    assert!(seen[0].contains("start: true, end: false") && seen[2].contains("start: false, end: true"));
}

#[test]
fn an_empty_message_is_one_empty_piece() {
    let seen = events(&masked_frame(TEXT, true, MASK, b""), 1).unwrap();
    assert_eq!(seen, ["Piece { start: true, end: true, text: true, bytes: [] }"]);
}

#[test]
fn frames_against_the_rules_are_protocol_errors() {
    let good = masked_frame(BINARY, true, MASK, b"x");
    let flip = |at: usize, bits: u8| {
        let mut frame = good.clone();
        frame[at] ^= bits;
        frame
    };
    let long_ping = masked_frame(PING, true, MASK, &[0; 126]);
    let huge = [0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    let nested = [masked_frame(BINARY, false, MASK, b"a"), good.clone()].concat();
    let bad: Vec<Vec<u8>> = vec![
        frame(BINARY, b"unmasked"),
        flip(0, 0x40),
        flip(0, 0x20),
        flip(0, 0x10),
        flip(0, 0x01),
        masked_frame(0, true, MASK, b"orphan"),
        masked_frame(PING, false, MASK, b""),
        masked_frame(CLOSE, true, MASK, b"x"),
        masked_frame(CLOSE, true, MASK, &1005u16.to_be_bytes()),
        long_ping,
        huge.to_vec(),
        nested,
    ];
    for wire in bad {
        assert_eq!(events(&wire, wire.len()).map_err(|fault| fault.code), Err(1002), "{wire:?}");
    }
    assert_eq!(events(&masked_frame(CLOSE, true, MASK, &1001u16.to_be_bytes()), 1).unwrap(), ["Close(Some(1001))"]);
}

#[test]
fn a_length_of_eight_bytes_is_streamed() {
    let mut wire = vec![0x82, 0xff, 0, 0, 0, 0x10, 0, 0, 0, 0];
    wire.extend_from_slice(&[0; 4]);
    wire.extend_from_slice(&[5; 100]);
    assert_eq!(bytes_of(&wire, 64).len(), 100);
}
