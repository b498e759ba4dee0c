// SPDX-License-Identifier: Apache-2.0
//! Writes the queue to the socket, and wakes what waits for that.

use super::Outbox;
use super::frame::Frame;
use crate::socket::WriteHalf;
use std::io::{self, IoSlice};
use tokio::io::AsyncWriteExt;

impl Outbox {
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
