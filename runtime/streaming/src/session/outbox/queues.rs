// SPDX-License-Identifier: Apache-2.0
//! The frames that wait for the socket.

use super::frame::Frame;
use std::collections::VecDeque;

/// The most answers to pings among them; further pings are not answered.
const MAX_PONGS: usize = 16;
/// The most frames that one write takes.
const BATCH: usize = 16;

/// What is queued, and whether the connection still takes more.
#[derive(Debug, Default)]
pub(super) struct Queues {
    pub(super) answers: VecDeque<Frame>,
    pub(super) data: VecDeque<Frame>,
    pub(super) pongs: usize,
    pub(super) writing: bool,
    pub(super) sealed: bool,
}

impl Queues {
    /// Whether nothing is queued and nothing is being written.
    pub(super) fn is_idle(&self) -> bool {
        self.answers.is_empty() && self.data.is_empty() && !self.writing
    }

    /// Takes a batch. Answers go first, but in a flood of answers data still gets half of each batch.
    pub(super) fn take(&mut self) -> Vec<Frame> {
        let answers = self.answers.len().min(if self.data.is_empty() { BATCH } else { BATCH / 2 });
        let mut batch: Vec<Frame> = self.answers.drain(..answers).collect();
        let data = self.data.len().min(BATCH - answers);
        batch.extend(self.data.drain(..data));
        self.pongs -= batch.iter().filter(|frame| frame.pong).count();
        self.writing = !batch.is_empty();
        batch
    }

    /// Queues the answer to a ping, unless many are already queued.
    pub(super) fn push_pong(&mut self, frame: Frame) {
        if self.pongs < MAX_PONGS {
            self.pongs += 1;
            self.answers.push_back(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
