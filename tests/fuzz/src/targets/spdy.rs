// SPDX-License-Identifier: Apache-2.0
//! A SPDY connection as a client writes it, up to the events of its session.

use crate::random::pieces;
use crate::trace::Trace;
use gorae_streaming::spdy::headers::Deflater;
use gorae_streaming::spdy::{Event, Fault, ResetReason, Session, frames};

const MOST_STREAMS: usize = 8;

pub fn check(wire: &[u8]) {
    assert_eq!(read([wire]), read(pieces(wire)), "it depends on how the wire is cut");
}

fn read<'w>(parts: impl IntoIterator<Item = &'w [u8]>) -> (u32, Option<Fault>) {
    let mut connection = Connection::default();
    let fault = parts.into_iter().find_map(|part| connection.feed(part).err());
    (connection.trace.end(), fault)
}

/// The accepting end, and what it has seen.
pub struct Connection {
    session: Session,
    pub trace: Trace,
}

impl Default for Connection {
    fn default() -> Self {
        Self { session: Session::server(MOST_STREAMS), trace: Trace::default() }
    }
}

impl Connection {
    /// Reads bytes and does what a server does: accepts or refuses streams, and ends its side after the client.
    pub fn feed(&mut self, mut input: &[u8]) -> Result<(), Fault> {
        while let Some(event) = self.session.next(&mut input)? {
            match event {
                Event::Opened { id, headers, fin } => {
                    self.trace.event((id, &headers, fin));
                    let answer = if headers.get("streamtype") == Some("nonsense") {
                        self.session.reset(id, ResetReason::ProtocolError).expect("it has just been opened")
                    } else {
                        self.session.accept(id)
                    };
                    self.trace.event(answer);
                }
                Event::Data { id, bytes } => {
                    assert!(!bytes.is_empty(), "data without bytes");
                    self.trace.bytes(id, bytes);
                    if self.session.has_ended(id) {
                        self.ended(id);
                    }
                }
                Event::Finished { id } => self.ended(id),
                other => self.trace.event(other),
            }
            assert!(self.session.open_streams() <= MOST_STREAMS, "more streams than are allowed");
        }
        assert!(input.is_empty(), "bytes are left that were not asked for again");
        Ok(())
    }

    fn ended(&mut self, id: u32) {
        let fin = self.session.finish(id);
        self.trace.event((id, fin));
        assert!(!self.session.finish(id), "a second end");
    }
}

/// A whole session as kubectl writes it.
pub fn session() -> Vec<u8> {
    let mut deflater = Deflater::new();
    let mut wire = Vec::new();
    for (id, name) in [(1, "error"), (3, "stdin"), (5, "nonsense"), (7, "resize")] {
        let headers = [("streamType", name), ("port", "80"), ("requestID", "0")];
        wire.extend(frames::syn_stream(id, id == 1, &deflater.block(&headers)));
    }
    wire.extend(frames::ping(1));
    wire.extend(frames::data_head(3, false, 20));
    wire.extend([7; 20]);
    wire.extend(frames::data_head(3, true, 3));
    wire.extend(b"end");
    wire.extend(frames::reset(7, ResetReason::Cancel));
    wire.extend(frames::goaway(0, 0));
    wire
}

pub fn seeds() -> Vec<Vec<u8>> {
    let control = |kind: u16, payload: &[u8]| {
        let head = frames::data_head(0x8003_0000 | u32::from(kind), false, payload.len());
        [&head[..], payload].concat()
    };
    let mut deflater = Deflater::new();
    let more = [
        frames::syn_stream(1, false, &deflater.block(&[("streamtype", "data")])),
        control(frames::HEADERS, &[&[0, 0, 0, 1][..], &deflater.block(&[("more", "headers")])].concat()),
        control(frames::SETTINGS, &[0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 1, 0]),
        control(frames::WINDOW_UPDATE, &[0, 0, 0, 1, 0, 1, 0, 0]),
        control(frames::SYN_REPLY, &[&[0, 0, 0, 1][..], &deflater.block(&[])].concat()),
        frames::syn_stream(1, false, &deflater.block(&[("streamtype", "again")])),
    ]
    .concat();
    let many = (0..12).flat_map(|n| frames::syn_stream(2 * n + 1, false, &deflater.block(&[]))).collect();
    vec![session(), more, many, frames::data_head(1, true, 0).to_vec()]
}
