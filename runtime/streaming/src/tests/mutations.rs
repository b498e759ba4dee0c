// SPDX-License-Identifier: Apache-2.0
//! Runs the parsers on mutated input, for a limited time: no panic, no endless loop, and the same result however the
//! input is split.

use crate::spdy::headers::Deflater;
use crate::spdy::{Inflater, ResetReason, Session, frames};
use crate::websocket::channels::{Channels, HalfClose};
use crate::websocket::{Codec, frames as messages};
use std::time::{Duration, Instant};

/// Marsaglia's xorshift: repeatable from a seed that a failure prints.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = self.next() as u8,
                2 => bytes[at] = [0, 0xff, 0x7f, 0x80][self.below(4)],
                3 => bytes.truncate(at.max(1)),
                4 => {
                    let end = (at + self.below(64)).min(bytes.len());
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
                _ => drop(bytes.drain(at..(at + self.below(16)).min(bytes.len()))),
            }
            if bytes.is_empty() {
                bytes.push(self.next() as u8);
            }
        }
    }
}

fn spdy_seed() -> Vec<u8> {
    let mut deflater = Deflater::new();
    let mut wire = Vec::new();
    for (id, name) in [(1, "error"), (3, "stdin"), (5, "stdout")] {
        wire.extend(frames::syn_stream(id, false, &deflater.block(&[("streamtype", name), ("port", "80")])));
    }
    wire.extend(frames::ping(1));
    wire.extend(frames::data_head(3, false, 20));
    wire.extend([7; 20]);
    wire.extend(frames::data_head(3, true, 0));
    wire.extend(frames::reset(5, ResetReason::Cancel));
    wire.extend(frames::goaway(0, 0));
    wire
}

/// The events of a session for this input, with pieces of data joined.
fn spdy_result(wire: &[u8], step: usize) -> (String, Vec<u8>) {
    let mut session = Session::server(8);
    let (mut seen, mut data) = (String::new(), Vec::new());
    for mut input in wire.chunks(step) {
        loop {
            match session.next(&mut input) {
                Ok(None) => break,
                Ok(Some(crate::spdy::Event::Data { bytes, .. })) => data.extend_from_slice(bytes),
                Ok(Some(crate::spdy::Event::Opened { id, .. })) => drop(session.accept(id)),
                Ok(Some(crate::spdy::Event::Finished { .. })) => {}
                Ok(Some(event)) => seen += &format!("{event:?}"),
                Err(fault) => return (seen + &fault.to_string(), data),
            }
        }
    }
    (seen, data)
}

fn websocket_result(wire: &[u8], step: usize, codec: Codec) -> (String, Vec<u8>) {
    let mut decoder = messages::Decoder::server();
    let mut channels = Channels::new(codec, HalfClose::Spoken, |channel| channel == 0);
    let (mut seen, mut data) = (String::new(), Vec::new());
    for part in wire.to_vec().chunks_mut(step) {
        let mut input = part;
        loop {
            match decoder.next(&mut input) {
                Ok(None) => break,
                Err(fault) => return (seen + &fault.to_string(), data),
                Ok(Some(event)) => {
                    let fault = channels.piece(&event, |input| match input {
                        crate::websocket::channels::Input::Bytes { bytes, .. } => data.extend_from_slice(bytes),
                        other => seen += &format!("{other:?}"),
                    });
                    if let Err(fault) = fault {
                        return (seen + &fault.to_string(), data);
                    }
                    if !matches!(event, messages::Event::Piece { .. }) {
                        seen += &format!("{event:?}");
                    }
                }
            }
        }
    }
    (seen, data)
}

fn for_a_while(seed: u64, mut round: impl FnMut(&mut Random)) {
    let mut random = Random(seed);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        round(&mut random);
    }
}

#[test]
fn mutated_spdy_connections_are_read_alike_however_they_are_cut() {
    let seed = spdy_seed();
    for_a_while(0x5eed_0001, |random| {
        let mut wire = seed.clone();
        random.mutate(&mut wire);
        let whole = spdy_result(&wire, wire.len());
        assert_eq!(spdy_result(&wire, 1 + random.below(9)), whole, "{wire:02x?}");
    });
}

#[test]
fn mutated_header_blocks_never_inflate_past_the_limit() {
    let seed = Deflater::new().block(&[("streamtype", "error"), ("requestid", "12"), ("port", "8080")]);
    for_a_while(0x5eed_0002, |random| {
        let mut block = seed.clone();
        random.mutate(&mut block);
        let mut inflater = Inflater::new();
        // Whatever the result, the next block must not panic either.
        let _ = inflater.headers(&block);
        let _ = inflater.headers(&seed);
    });
}

#[test]
fn mutated_websocket_messages_are_read_alike_however_they_are_cut() {
    let mask = [1, 2, 3, 4];
    let seed = [
        messages::masked_frame(messages::BINARY, true, mask, b"\0hello"),
        messages::masked_frame(messages::BINARY, false, mask, b"\x04{\"Width\":1"),
        messages::masked_frame(messages::PING, true, mask, b"p"),
        messages::masked_frame(0, true, mask, b",\"Height\":2}"),
        messages::masked_frame(messages::TEXT, true, mask, b"0aGk="),
        messages::masked_frame(messages::BINARY, true, mask, &[255, 0]),
        messages::masked_frame(messages::CLOSE, true, mask, &[3, 232]),
    ]
    .concat();
    for_a_while(0x5eed_0003, |random| {
        let mut wire = seed.clone();
        random.mutate(&mut wire);
        for codec in [Codec::Binary, Codec::Base64] {
            let whole = websocket_result(&wire, wire.len(), codec);
            assert_eq!(websocket_result(&wire, 1 + random.below(9), codec), whole, "{wire:02x?}");
        }
    });
}
