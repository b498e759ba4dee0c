// SPDX-License-Identifier: Apache-2.0
//! Container output: read, logged, sent to viewers.

use super::{READ, Stdio, UNSEEN};
use crate::attach::{Gone, Viewer};
use crate::log::Stream;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::time::Instant;

impl Stdio {
    /// Reads one output stream until it is empty, at its end, or has used up its turns.
    pub(super) fn read_output(&mut self, stream: Stream, turns: usize) {
        for _ in 0..turns {
            let Some(fd) = &self.outputs[stream as usize] else { return };
            self.chunk.clear();
            self.chunk.reserve(READ);
            match rustix::io::read(fd, spare_capacity(&mut self.chunk)) {
                // EIO: the last process that had the terminal open is gone.
                Ok(0) | Err(Errno::IO) => return self.end_stream(stream),
                Ok(_) => self.take_output(stream),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => return self.end_stream(stream),
            }
        }
    }

    pub(super) fn take_output(&mut self, stream: Stream) {
        self.last_output = Instant::now();
        self.log.write(stream, &self.chunk);
        if let Some(unseen) = &mut self.unseen {
            let new = &self.chunk[self.chunk.len().saturating_sub(UNSEEN)..];
            unseen.drain(..(unseen.len() + new.len()).saturating_sub(UNSEEN));
            unseen.extend_from_slice(new);
        }
        if self.viewers.is_empty() {
            return;
        }
        let wants = |viewers: &[Viewer]| (viewers.len(), viewers.iter().filter(|v| v.wants_room()).count());
        let (chunk, before) = (&self.chunk, wants(&self.viewers));
        let mut behind = Vec::new();
        self.viewers.retain_mut(|viewer| match viewer.show(stream, chunk) {
            Ok(()) => true,
            Err(Gone::Away) => false,
            Err(Gone::Behind) => {
                behind.push(viewer.client);
                false
            }
        });
        self.viewers.retain(|viewer| !behind.contains(&viewer.client));
        self.changes += u64::from(wants(&self.viewers) != before);
    }

    pub(super) fn end_stream(&mut self, stream: Stream) {
        if self.outputs[stream as usize].take().is_some() {
            self.log.finish(stream);
            self.viewers.retain_mut(|viewer| viewer.end_output(stream).is_ok());
            self.changes += 1;
        }
    }

    /// False when the time is over.
    pub(super) fn wait_for_output(&self, end: Instant) -> bool {
        let left = end.saturating_duration_since(Instant::now());
        let mut fds: Vec<_> = self.outputs.iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        !left.is_zero() && poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0)
    }
}
