// SPDX-License-Identifier: Apache-2.0
//! Which streams a connection has, and what each frame means for them.
//!
//! ```text
//! server: SYN_STREAM in ── Opened ── accept ── SYN_REPLY out ┐
//! client: open ── SYN_STREAM out ── SYN_REPLY in ── Replied ─┴ open ── FIN each way ── forgotten
//!                                                               └───── RST either way ─ forgotten
//! ```
//!
//! The session performs no I/O: calls and events return the frames to send, and the caller sends them in that order.
//! Frames of streams that are unknown or gone are dropped silently, which is normal after a reset, but their header
//! blocks still pass through the inflater.

use super::fault::{Fault, ResetReason};
use super::frames::{self, Decoder, Frame};
use super::headers::{Deflater, EmptyBlocks, Headers, Inflater};
use std::collections::HashMap;

/// What the peer did.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'i> {
    /// A new stream, to be answered at once with [`Session::accept`] or [`Session::reset`].
    Opened {
        /// Its id.
        id: u32,
        /// Its headers.
        headers: Headers,
        /// Whether the peer has already ended its direction.
        fin: bool,
    },
    /// The peer accepted one of our streams.
    Replied {
        /// Its id.
        id: u32,
    },
    /// Bytes on an open stream, never empty.
    Data {
        /// The stream.
        id: u32,
        /// The bytes, borrowed from the input.
        bytes: &'i [u8],
    },
    /// The peer ended its direction of a stream.
    Finished {
        /// The stream.
        id: u32,
    },
    /// The peer ended both directions of a stream.
    Reset {
        /// The stream.
        id: u32,
    },
    /// A ping from the peer: the same frame must be sent back, ahead of queued data.
    Ping {
        /// Its id.
        id: u32,
    },
    /// The reply to one of our pings.
    Pong {
        /// Its id.
        id: u32,
    },
    /// A frame to send: the refusal of a stream that is not reported to the caller.
    Answer(Vec<u8>),
    /// The peer opens no more streams.
    GoAway,
}

#[derive(Debug)]
struct Stream {
    /// Whether we may still send.
    ours: bool,
    /// Whether the peer may still send.
    theirs: bool,
}

/// One end of a connection.
#[derive(Debug)]
pub struct Session {
    decoder: Decoder,
    inflater: Inflater,
    deflater: Option<Deflater>,
    replies: EmptyBlocks,
    streams: HashMap<u32, Stream>,
    /// The id that the opening side uses next, or the lowest it may use.
    next_id: u32,
    most_streams: usize,
    going_away: bool,
}

impl Session {
    /// Makes the accepting end. It refuses new streams while `most_streams` are open.
    pub fn server(most_streams: usize) -> Self {
        Self {
            decoder: Decoder::new(),
            inflater: Inflater::new(),
            deflater: None,
            replies: EmptyBlocks::default(),
            streams: HashMap::new(),
            next_id: 1,
            most_streams,
            going_away: false,
        }
    }

    /// Makes the opening end.
    pub fn client() -> Self {
        Self { deflater: Some(Deflater::new()), ..Self::server(0) }
    }

    /// Consumes bytes from the front of `input` until there is an event; `None` when all of it has been consumed.
    ///
    /// # Errors
    /// A [`Fault`]: the connection ends with GOAWAY(1).
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Event<'i>>, Fault> {
        loop {
            let Some(frame) = self.decoder.next(input)? else { return Ok(None) };
            if let Some(event) = self.receive(frame)? {
                return Ok(Some(event));
            }
        }
    }

    fn receive<'i>(&mut self, frame: Frame<'i>) -> Result<Option<Event<'i>>, Fault> {
        Ok(match frame {
            Frame::SynStream { id, fin, unidirectional, block } => {
                let headers = self.inflater.headers(&block)?;
                Some(self.opened(id, fin, unidirectional, headers))
            }
            Frame::SynReply { id, fin, block } => {
                self.inflater.headers(&block)?;
                let known = self.streams.contains_key(&id);
                if fin {
                    self.their_end(id);
                }
                known.then_some(Event::Replied { id })
            }
            Frame::Headers { id, fin, block } => {
                self.inflater.headers(&block)?;
                (fin && self.their_end(id)).then_some(Event::Finished { id })
            }
            Frame::Data { id, bytes, fin } => self.data(id, bytes, fin),
            Frame::Reset { id, .. } => self.streams.remove(&id).map(|_| Event::Reset { id }),
            Frame::Ping { id } => {
                let theirs = (id % 2 == 1) != self.is_client();
                Some(if theirs { Event::Ping { id } } else { Event::Pong { id } })
            }
            Frame::GoAway { .. } => {
                self.going_away = true;
                Some(Event::GoAway)
            }
            Frame::Settings | Frame::WindowUpdate => None,
        })
    }

    fn is_client(&self) -> bool {
        self.deflater.is_some()
    }

    fn opened(&mut self, id: u32, fin: bool, unidirectional: bool, headers: Headers) -> Event<'static> {
        if self.is_client() || id.is_multiple_of(2) || id > 0x7fff_ffff || id < self.next_id {
            // A reset identifies a stream only by its id, so a repeated id also ends the stream that had it first.
            let reset = frames::reset(id, ResetReason::ProtocolError);
            self.streams.remove(&id);
            return Event::Answer(reset);
        }
        self.next_id = id + 2;
        if unidirectional || self.going_away || self.streams.len() >= self.most_streams {
            return Event::Answer(frames::reset(id, ResetReason::RefusedStream));
        }
        self.streams.insert(id, Stream { ours: true, theirs: !fin });
        Event::Opened { id, headers, fin }
    }

    /// Reports a piece that has both bytes and the end as `Data`; [`Session::has_ended`] then reports the end.
    fn data<'i>(&mut self, id: u32, bytes: &'i [u8], fin: bool) -> Option<Event<'i>> {
        if !self.streams.get(&id)?.theirs {
            return None;
        }
        if fin {
            self.their_end(id);
        }
        match (bytes.is_empty(), fin) {
            (false, _) => Some(Event::Data { id, bytes }),
            (true, true) => Some(Event::Finished { id }),
            (true, false) => None,
        }
    }

    /// Whether the peer has ended its direction of a stream, or the stream is gone.
    pub fn has_ended(&self, id: u32) -> bool {
        self.streams.get(&id).is_none_or(|stream| !stream.theirs)
    }

    fn their_end(&mut self, id: u32) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else { return false };
        let first = std::mem::replace(&mut stream.theirs, false);
        if !stream.ours {
            self.streams.remove(&id);
        }
        first
    }

    /// Accepts a stream and returns the SYN_REPLY.
    pub fn accept(&mut self, id: u32) -> Vec<u8> {
        frames::syn_reply(id, self.replies.advance())
    }

    /// Ends both directions of a stream. Returns the frame to send, unless the stream is already gone.
    pub fn reset(&mut self, id: u32, reason: ResetReason) -> Option<Vec<u8>> {
        self.streams.remove(&id).map(|_| frames::reset(id, reason))
    }

    /// Ends our direction of a stream. Returns true when a FIN must be sent, which happens once.
    pub fn finish(&mut self, id: u32) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else { return false };
        let first = std::mem::replace(&mut stream.ours, false);
        if !stream.theirs {
            self.streams.remove(&id);
        }
        first
    }

    /// Whether we may send on a stream.
    pub fn may_send(&self, id: u32) -> bool {
        self.streams.get(&id).is_some_and(|stream| stream.ours)
    }

    /// Counts the streams that are not over.
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// Returns the last frame of the session: nothing may follow it.
    pub fn goaway(&mut self, status: u32) -> Vec<u8> {
        self.going_away = true;
        let last = if self.is_client() { 0 } else { self.next_id.saturating_sub(2) };
        frames::goaway(last, status)
    }

    /// Opens a stream from the client end. Returns its id and the SYN_STREAM to send.
    ///
    /// # Panics
    /// On the accepting end, which opens no streams.
    pub fn open(&mut self, headers: &[(&str, &str)]) -> (u32, Vec<u8>) {
        let deflater = self.deflater.as_mut().expect("only the client end opens streams");
        let id = self.next_id;
        self.next_id += 2;
        self.streams.insert(id, Stream { ours: true, theirs: true });
        (id, frames::syn_stream(id, false, &deflater.block(headers)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(session: &mut Session, wire: &[u8]) -> Vec<String> {
        let mut input = wire;
        let mut seen = Vec::new();
        while let Some(event) = session.next(&mut input).unwrap() {
            seen.push(format!("{event:?}"));
        }
        seen
    }

    fn syn(deflater: &mut Deflater, id: u32) -> Vec<u8> {
        frames::syn_stream(id, false, &deflater.block(&[("streamtype", "error")]))
    }

    #[test]
    fn a_stream_opens_talks_and_is_forgotten_after_both_ends() {
        let (mut server, mut client) = (Session::server(8), Session::client());
        let (id, syn) = client.open(&[("streamType", "stdin")]);
        assert!(events(&mut server, &syn)[0].starts_with("Opened { id: 1"));
        assert_eq!(events(&mut client, &server.accept(id)), ["Replied { id: 1 }"]);
        let data = [&frames::data_head(id, true, 2)[..], b"hi"].concat();
        assert_eq!(events(&mut server, &data), ["Data { id: 1, bytes: [104, 105] }"]);
        assert!(server.has_ended(id) && server.may_send(id));
        assert!(server.finish(id) && !server.finish(id));
        assert_eq!(server.open_streams(), 0);
    }

    #[test]
    fn ids_that_are_even_repeated_descending_or_too_large_are_reset_and_the_session_goes_on() {
        let (mut server, mut deflater) = (Session::server(8), Deflater::new());
        assert_eq!(events(&mut server, &syn(&mut deflater, 5)).len(), 1);
        for id in [2, 5, 3, 0x8000_0000, 0x8000_0001] {
            let wire = syn(&mut deflater, id);
            let answer = server.next(&mut &wire[..]).unwrap();
            assert_eq!(answer, Some(Event::Answer(frames::reset(id, ResetReason::ProtocolError))));
        }
        assert!(!server.may_send(5), "the reset of the repeated id ends the first stream of that id");
        assert!(events(&mut server, &syn(&mut deflater, 99))[0].starts_with("Opened { id: 99"));
        assert!(server.next(&mut &syn(&mut deflater, 0)[..]).is_err());
    }

    #[test]
    fn refused_streams_still_pass_the_inflater() {
        let (mut server, mut deflater) = (Session::server(1), Deflater::new());
        let ids = [1, 3, 5].map(|id| syn(&mut deflater, id));
        assert!(events(&mut server, &ids[0])[0].starts_with("Opened"));
        assert!(events(&mut server, &ids[1])[0].starts_with("Answer"));
        server.reset(1, ResetReason::Cancel).unwrap();
        assert!(events(&mut server, &ids[2])[0].contains("streamtype"));
    }

    #[test]
    fn frames_of_unknown_streams_are_dropped() {
        let mut server = Session::server(8);
        let data = [&frames::data_head(9, true, 1)[..], b"x"].concat();
        assert!(events(&mut server, &data).is_empty());
        assert!(events(&mut server, &frames::reset(9, ResetReason::Cancel)).is_empty());
        assert!(events(&mut server, &frames::syn_reply(9, EmptyBlocks::default().advance())).is_empty());
    }

    #[test]
    fn data_after_the_end_is_dropped_and_a_second_end_is_no_event() {
        let (mut server, mut deflater) = (Session::server(8), Deflater::new());
        events(&mut server, &syn(&mut deflater, 1));
        let end = frames::data_head(1, true, 0);
        assert_eq!(events(&mut server, &end), ["Finished { id: 1 }"]);
        assert!(events(&mut server, &[&frames::data_head(1, false, 1)[..], b"x", &end].concat()).is_empty());
    }

    #[test]
    fn pings_of_the_client_are_odd() {
        let mut server = Session::server(8);
        assert_eq!(events(&mut server, &frames::ping(3)), ["Ping { id: 3 }"]);
        assert_eq!(events(&mut server, &frames::ping(4)), ["Pong { id: 4 }"]);
    }

    #[test]
    fn after_goaway_no_stream_opens() {
        let (mut server, mut deflater) = (Session::server(8), Deflater::new());
        assert_eq!(events(&mut server, &frames::goaway(0, 0)), ["GoAway"]);
        assert!(events(&mut server, &syn(&mut deflater, 1))[0].starts_with("Answer"));
    }
}
