// SPDX-License-Identifier: Apache-2.0
//! The queue of bytes that the client sent on one stream and that wait for their consumer.
//!
//! Bytes are copied into our own chunks: with a queue of borrowed slices, a peer that sends one byte per frame would
//! pin a whole read buffer with each. The reader never waits inside `push`; it checks the length and stops reading the
//! socket while too much is queued.

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The socket is not read while a stream has more than this many bytes queued.
pub(crate) const HIGH: usize = 1024 * 1024;
const CHUNK: usize = 32 * 1024;

/// How much is queued in all inlets of a connection.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    queued: AtomicUsize,
    taken: AtomicUsize,
    drained: Notify,
}

impl Gauge {
    /// Bytes queued in all inlets.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Bytes taken from inlets since the connection began. While this does not change, no consumer reads.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Waits until a consumer takes bytes from some inlet. For one waiter, which then checks its condition again.
    pub(crate) async fn drained(&self) {
        self.drained.notified().await;
    }
}

/// One stream from the client.
#[derive(Debug)]
pub(crate) struct Inlet {
    state: Mutex<State>,
    arrived: Notify,
    gauge: Arc<Gauge>,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<BytesMut>,
    length: usize,
    ended: bool,
    discarding: bool,
}

impl Inlet {
    pub(crate) fn new(gauge: &Arc<Gauge>) -> Self {
        Self { state: Mutex::default(), arrived: Notify::new(), gauge: gauge.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues bytes, unless the stream has ended or is being discarded.
    pub(crate) fn push(&self, mut bytes: &[u8]) {
        let mut state = self.state();
        if state.ended || state.discarding {
            return;
        }
        state.length += bytes.len();
        self.gauge.queued.fetch_add(bytes.len(), Ordering::Relaxed);
        while !bytes.is_empty() {
            let room = state.chunks.back().map_or(0, |chunk| chunk.capacity() - chunk.len());
            if room == 0 {
                state.chunks.push_back(BytesMut::with_capacity(bytes.len().clamp(512, CHUNK)));
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            state.chunks.back_mut().expect("it has room").extend_from_slice(now);
            bytes = later;
        }
        self.arrived.notify_one();
    }

    /// Marks the end of the stream: queued bytes are still delivered.
    pub(crate) fn end(&self) {
        self.state().ended = true;
        self.arrived.notify_one();
    }

    /// Drops the queued bytes and any that still arrive.
    pub(crate) fn discard(&self) {
        let mut state = self.state();
        state.discarding = true;
        let length = std::mem::take(&mut state.length);
        state.chunks.clear();
        self.release(length);
    }

    fn release(&self, length: usize) {
        self.gauge.queued.fetch_sub(length, Ordering::Relaxed);
        self.gauge.taken.fetch_add(length, Ordering::Relaxed);
        self.gauge.drained.notify_one();
    }

    /// The number of queued bytes.
    pub(crate) fn queued(&self) -> usize {
        self.state().length
    }

    /// Takes the next bytes, at most 32 KiB, without waiting.
    pub(crate) fn take(&self) -> Option<Bytes> {
        let mut state = self.state();
        let chunk = state.chunks.pop_front()?.freeze();
        state.length -= chunk.len();
        drop(state);
        self.release(chunk.len());
        Some(chunk)
    }

    /// Waits for the next bytes; `None` at the end of the stream. Cancel: nothing is lost.
    pub(crate) async fn next(&self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.take() {
                return Some(bytes);
            }
            if self.state().ended {
                return None;
            }
            self.arrived.notified().await;
        }
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.discard();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_come_out_as_they_went_in_and_then_the_end() {
        let gauge = Arc::default();
        let inlet = Inlet::new(&gauge);
        let all: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        all.chunks(7).for_each(|part| inlet.push(part));
        inlet.end();
        inlet.push(b"late");
        assert_eq!((inlet.queued(), gauge.queued()), (all.len(), all.len()));
        let mut out = Vec::new();
        while let Some(bytes) = inlet.next().await {
            out.extend_from_slice(&bytes);
        }
        assert_eq!((out, gauge.queued()), (all, 0));
    }

    #[test]
    fn single_bytes_do_not_multiply_memory() {
        let inlet = Inlet::new(&Arc::default());
        (0..100_000).for_each(|_| inlet.push(b"x"));
        let held: usize = inlet.state().chunks.iter().map(BytesMut::capacity).sum();
        assert!(held < 110_000, "{held}");
    }

    #[test]
    fn a_discarding_inlet_holds_nothing() {
        let gauge = Arc::default();
        let inlet = Inlet::new(&gauge);
        inlet.push(b"abc");
        inlet.discard();
        inlet.push(b"def");
        assert_eq!((inlet.queued(), gauge.queued(), inlet.take()), (0, 0, None));
    }
}
