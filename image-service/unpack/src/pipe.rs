// SPDX-License-Identifier: Apache-2.0
//! A bounded in-process pipe of byte chunks: from a download to the inflater, and from the inflater to the extractor.
//!
//! The end is sent explicitly. A sender that is dropped before that has failed, and its reader gets `UnexpectedEof` instead
//! of a stream that looks complete.

use bytes::{Buf as _, Bytes};
use std::io::{self, BufRead, Read};
use tokio::sync::mpsc;

/// The writing side.
#[derive(Debug)]
pub struct Sink(mpsc::Sender<Option<Bytes>>);

/// The reading side. It blocks, so use it only on threads that may block.
#[derive(Debug)]
pub struct Source {
    chunks: mpsc::Receiver<Option<Bytes>>,
    current: Bytes,
    ended: bool,
}

/// The other side is gone.
#[derive(Debug, thiserror::Error)]
#[error("the reader of the stream is gone")]
pub struct Closed;

/// Makes a pipe that holds up to `chunks` chunks.
pub fn pipe(chunks: usize) -> (Sink, Source) {
    let (sender, receiver) = mpsc::channel(chunks);
    (Sink(sender), Source { chunks: receiver, current: Bytes::new(), ended: false })
}

impl Sink {
    /// Sends a chunk; waits while the pipe is full.
    ///
    /// - Cancel: the chunk is sent or not, never in part; dropping the sink cuts the stream.
    ///
    /// # Errors
    /// [`Closed`] when the reader is gone.
    pub async fn send(&self, chunk: Bytes) -> Result<(), Closed> {
        self.0.send(Some(chunk)).await.map_err(|_| Closed)
    }

    /// Marks the stream as complete.
    ///
    /// # Errors
    /// [`Closed`] when the reader is gone.
    pub async fn end(self) -> Result<(), Closed> {
        self.0.send(None).await.map_err(|_| Closed)
    }

    /// [`Sink::send`] for threads that may block.
    ///
    /// # Errors
    /// [`Closed`] when the reader is gone.
    pub fn send_blocking(&self, chunk: Bytes) -> Result<(), Closed> {
        self.0.blocking_send(Some(chunk)).map_err(|_| Closed)
    }

    /// [`Sink::end`] for threads that may block.
    ///
    /// # Errors
    /// [`Closed`] when the reader is gone.
    pub fn end_blocking(self) -> Result<(), Closed> {
        self.0.blocking_send(None).map_err(|_| Closed)
    }
}

impl Source {
    /// Returns the next bytes without consuming them: at least `n`, unless the stream ends first.
    ///
    /// # Errors
    /// `UnexpectedEof` when the stream is cut.
    pub fn peek(&mut self, n: usize) -> io::Result<&[u8]> {
        while self.current.len() < n && !self.ended {
            match self.chunks.blocking_recv() {
                Some(Some(chunk)) if self.current.is_empty() => self.current = chunk,
                Some(Some(chunk)) => self.current = [&self.current[..], &chunk].concat().into(),
                Some(None) => self.ended = true,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream was cut")),
            }
        }
        Ok(&self.current)
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.peek(1)
    }

    fn consume(&mut self, n: usize) {
        self.current.advance(n);
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(buffer.len());
        buffer[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_end_is_an_end_and_a_dropped_sender_is_a_cut() {
        let (sink, mut source) = pipe(4);
        sink.send_blocking(Bytes::from_static(b"ab")).unwrap();
        sink.send_blocking(Bytes::from_static(b"c")).unwrap();
        sink.end_blocking().unwrap();
        let mut all = Vec::new();
        source.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"abc");

        let (sink, mut source) = pipe(4);
        sink.send_blocking(Bytes::from_static(b"ab")).unwrap();
        drop(sink);
        assert_eq!(source.read_to_end(&mut Vec::new()).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn as_many_bytes_as_are_wanted_can_be_seen_before_they_are_read() {
        let (sink, mut source) = pipe(8);
        for chunk in ["a", "", "bc", "def"] {
            sink.send_blocking(Bytes::from(chunk)).unwrap();
        }
        sink.end_blocking().unwrap();
        assert_eq!(source.peek(2).unwrap(), b"abc");
        assert_eq!(source.peek(9).unwrap(), b"abcdef");
        let mut all = Vec::new();
        source.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"abcdef");
    }

    #[test]
    fn a_sender_learns_that_its_reader_is_gone() {
        let (sink, source) = pipe(1);
        drop(source);
        assert!(sink.send_blocking(Bytes::from_static(b"x")).is_err());
    }
}
