// SPDX-License-Identifier: Apache-2.0
//! The queue of frames for the socket.
//!
//! Data is bounded by bytes: a stream waits for room before it queues data, in arrival order, so that streams take
//! turns and a slow client stops the process instead of filling memory. Answers (pings, replies, resets of refused
//! streams) overtake data and never wait, because the reader produces them and must not wait for the writer. Their
//! number is capped, and a peer that causes more of them than it reads is disconnected.

use crate::socket::WriteHalf;
use crate::websocket;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// The most data bytes that are queued for the socket of one connection.
const ROOM: usize = 256 * 1024;
/// The most bytes of a DATA frame or message.
pub(crate) const CHUNK: usize = 32 * 1024;
/// The size of a frame without its body.
const FRAME: usize = size_of::<Frame>();
/// The most answers that are queued: each is below 150 bytes, so 300 KiB at worst.
const MAX_ANSWERS: usize = 2048;
/// The most answers to pings among them; further pings are not answered.
const MAX_PONGS: usize = 16;
const BATCH: usize = 16;

/// The connection is broken: nothing more can be sent.
#[derive(Debug)]
pub(crate) struct Broken;

/// A frame: a short head and a body that is not copied.
#[derive(Debug)]
pub(crate) struct Frame {
    head: [u8; 16],
    head_length: usize,
    body: Vec<u8>,
    cost: usize,
    pong: bool,
}

impl Frame {
    /// A frame whose head is at most 12 bytes long.
    pub(crate) fn new(head: &[u8], body: Vec<u8>) -> Self {
        let mut frame = Self { head: [0; 16], head_length: head.len(), body, cost: 0, pong: false };
        frame.head[..head.len()].copy_from_slice(head);
        frame
    }

    fn length(&self) -> usize {
        self.head_length + self.body.len()
    }

    /// Puts the head of a binary WebSocket message before the frame.
    fn wrap(&mut self) {
        let (message, length) = websocket::frames::head(websocket::frames::BINARY, self.length());
        self.head.copy_within(0..self.head_length, length);
        self.head[..length].copy_from_slice(&message[..length]);
        self.head_length += length;
    }
}

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

#[derive(Debug, Default)]
struct Queues {
    answers: VecDeque<Frame>,
    data: VecDeque<Frame>,
    pongs: usize,
    writing: bool,
    sealed: bool,
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
        self.queue(Frame { pong: true, ..Frame::new(&[], frame) }, push_pong);
    }

    /// As [`Outbox::pong`], for the WebSocket layer below a tunnel.
    pub(crate) fn pong_raw(&self, frame: Vec<u8>) {
        self.push_raw(Frame { pong: true, ..Frame::new(&[], frame) }, push_pong);
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

    /// Waits until every queued frame has been handed to the socket.
    pub(crate) async fn flushed(&self) {
        loop {
            let empty = self.empty.notified();
            if self.queues().is_idle() {
                return;
            }
            empty.await;
        }
    }

    /// Resolves when a write to the socket has started since the last call. For one waiter.
    pub(crate) async fn wrote(&self) {
        self.wrote.notified().await;
    }

    /// Writes frames until the queue is [sealed](Outbox::seal) and the last one is written.
    pub(crate) async fn write_to(&self, socket: &mut WriteHalf) -> io::Result<()> {
        while let Some(batch) = self.batch().await {
            self.wrote.notify_one();
            write_batch(socket, &batch).await?;
            self.room.add_permits(batch.iter().map(|frame| frame.cost).sum());
            self.queues().writing = false;
        }
        Ok(())
    }

    async fn batch(&self) -> Option<Vec<Frame>> {
        loop {
            {
                let mut queues = self.queues();
                let batch = queues.take();
                if !batch.is_empty() {
                    return Some(batch);
                }
                self.empty.notify_waiters();
                if queues.sealed {
                    return None;
                }
            }
            self.ready.notified().await;
        }
    }
}

fn push_pong(queues: &mut Queues, frame: Frame) {
    if queues.pongs < MAX_PONGS {
        queues.pongs += 1;
        queues.answers.push_back(frame);
    }
}

impl Queues {
    fn is_idle(&self) -> bool {
        self.answers.is_empty() && self.data.is_empty() && !self.writing
    }

    /// Takes a batch. Answers go first, but in a flood of answers data still gets half of each batch.
    fn take(&mut self) -> Vec<Frame> {
        let answers = self.answers.len().min(if self.data.is_empty() { BATCH } else { BATCH / 2 });
        let mut batch: Vec<Frame> = self.answers.drain(..answers).collect();
        let data = self.data.len().min(BATCH - answers);
        batch.extend(self.data.drain(..data));
        self.pongs -= batch.iter().filter(|frame| frame.pong).count();
        self.writing = !batch.is_empty();
        batch
    }
}

/// Writes heads and bodies with as few system calls as the socket allows.
async fn write_batch(socket: &mut WriteHalf, batch: &[Frame]) -> io::Result<()> {
    let parts = |frame: &'_ Frame| (frame.head_length, frame.body.len());
    let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(batch.len() * 2);
    for frame in batch {
        let (head, body) = parts(frame);
        if head > 0 {
            slices.push(IoSlice::new(&frame.head[..head]));
        }
        if body > 0 {
            slices.push(IoSlice::new(&frame.body));
        }
    }
    let mut left = &mut slices[..];
    while !left.is_empty() {
        match socket.write_vectored(left).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => IoSlice::advance_slices(&mut left, written),
        }
    }
    // TLS keeps what the socket did not accept at once.
    socket.flush().await
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

    #[test]
    fn data_gets_its_turn_in_a_flood_of_answers() {
        let mut queues = Queues::default();
        (0..100).for_each(|_| queues.answers.push_back(Frame::new(b"answer", Vec::new())));
        (0..100).for_each(|_| queues.data.push_back(Frame::new(b"data", Vec::new())));
        for _ in 0..12 {
            queues.take();
        }
        assert_eq!((queues.answers.len(), queues.data.len()), (4, 4));
    }
}
