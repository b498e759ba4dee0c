// SPDX-License-Identifier: Apache-2.0
//! The queue of frames for the socket.
//!
//! Data is bounded by bytes: a stream waits for room before it queues data, in arrival order, so that streams take
//! turns and a slow client stops the process instead of filling memory. Answers (pings, replies, resets of refused
//! streams) overtake data and never wait, because the reader produces them and must not wait for the writer. Their
//! number is capped, and a peer that causes more of them than it reads is disconnected.

mod frame;
mod queues;
mod write;

pub(crate) use frame::Frame;

use queues::Queues;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// The most data bytes that are queued for the socket of one connection.
const ROOM: usize = 256 * 1024;
/// The most bytes of a DATA frame or message.
pub(crate) const CHUNK: usize = 32 * 1024;
/// The size of a frame without its body.
const FRAME: usize = size_of::<Frame>();
/// The most answers that are queued: each is below 150 bytes, so 300 KiB at worst.
const MAX_ANSWERS: usize = 2048;

/// The connection is broken: nothing more can be sent.
#[derive(Debug)]
pub(crate) struct Broken;

/// Room for one chunk of data.
#[derive(Debug)]
pub(crate) struct Room<'o>(SemaphorePermit<'o>);

/// The queue. Frames leave in the order of their arrival, answers first.
#[derive(Debug)]
pub(crate) struct Outbox {
    queues: Mutex<Queues>,
    ready: Notify,
    empty: Notify,
    wrote: Notify,
    room: Semaphore,
    /// SPDY frames travel inside WebSocket messages.
    tunnel: bool,
}

impl Outbox {
    pub(crate) fn new(tunnel: bool) -> Self {
        Self {
            queues: Mutex::default(),
            ready: Notify::new(),
            empty: Notify::new(),
            wrote: Notify::new(),
            room: Semaphore::new(ROOM),
            tunnel,
        }
    }

    /// Whether frames travel inside WebSocket messages.
    pub(crate) fn is_tunnel(&self) -> bool {
        self.tunnel
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a chunk of [`CHUNK`] bytes may be queued.
    pub(crate) async fn room(&self) -> Result<Room<'_>, Broken> {
        self.room.acquire_many(CHUNK as u32).await.map(Room).map_err(|_| Broken)
    }

    /// Queues data in its reserved room. A short read returns the rest of its buffer and of its room.
    pub(crate) fn send(&self, mut frame: Frame, Room(mut room): Room<'_>) {
        frame.body.shrink_to_fit();
        frame.cost = (frame.body.len() + FRAME).min(room.num_permits());
        if let Some(used) = room.split(frame.cost) {
            used.forget();
        }
        self.follow(frame);
    }

    /// Queues a short frame behind the data: the end of a stream, a reset, a status.
    pub(crate) fn follow(&self, frame: Frame) {
        self.queue(frame, |queues, frame| queues.data.push_back(frame));
    }

    /// Queues the last frame of the connection; later ones are dropped.
    pub(crate) fn seal(&self, frame: Option<Frame>) {
        frame.into_iter().for_each(|frame| self.follow(frame));
        self.queues().sealed = true;
        self.ready.notify_one();
    }

    /// As [`Outbox::seal`], with a frame that is not wrapped for the tunnel.
    pub(crate) fn seal_raw(&self, frame: Frame) {
        self.push_raw(frame, |queues, frame| queues.data.push_back(frame));
        self.seal(None);
    }

    /// Queues an answer ahead of data.
    pub(crate) fn answer(&self, frame: Vec<u8>) -> Result<(), Broken> {
        self.answer_frame(Frame::new(&[], frame))
    }

    fn answer_frame(&self, frame: Frame) -> Result<(), Broken> {
        if self.queues().answers.len() >= MAX_ANSWERS {
            return Err(Broken);
        }
        self.queue(frame, |queues, frame| queues.answers.push_back(frame));
        Ok(())
    }

    /// Queues the answer to a ping, unless many are already queued.
    pub(crate) fn pong(&self, frame: Vec<u8>) {
        self.queue(Frame { pong: true, ..Frame::new(&[], frame) }, Queues::push_pong);
    }

    /// As [`Outbox::pong`], for the WebSocket layer below a tunnel.
    pub(crate) fn pong_raw(&self, frame: Vec<u8>) {
        self.push_raw(Frame { pong: true, ..Frame::new(&[], frame) }, Queues::push_pong);
    }

    fn queue(&self, mut frame: Frame, push: impl FnOnce(&mut Queues, Frame)) {
        if self.tunnel {
            frame.wrap();
        }
        self.push_raw(frame, push);
    }

    fn push_raw(&self, frame: Frame, push: impl FnOnce(&mut Queues, Frame)) {
        let mut queues = self.queues();
        if !queues.sealed {
            push(&mut queues, frame);
            self.ready.notify_one();
        }
    }

    /// Fails all waits for room, now and later.
    pub(crate) fn fail(&self) {
        self.room.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn short_reads_of_a_process_hold_no_more_than_long_ones() {
        let outbox = Outbox::new(false);
        while let Some(Ok(room)) = outbox.room().now_or_never() {
            let mut chunk = Vec::with_capacity(CHUNK);
            chunk.push(b'x');
            outbox.send(Frame::new(&[0; 8], chunk), room);
        }
        let queues = outbox.queues();
        let held: usize = queues.data.iter().map(|frame| FRAME + frame.body.capacity()).sum();
        assert!(held <= ROOM, "{held} bytes in {} frames", queues.data.len());
    }
}
