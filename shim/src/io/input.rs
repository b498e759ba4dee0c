// SPDX-License-Identifier: Apache-2.0
//! Container input: from any client that sends, one read at a time.

use super::{READ, Stdio};
use crate::attach::{Carries, Gone};
use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::OwnedFd;

impl Stdio {
    pub(super) fn attach_stdin(&mut self) -> Result<OwnedFd, Errno> {
        if self.stdin.is_none() || self.closing_stdin {
            return rustix::fs::open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        }
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
        self.admit(ours, Carries::Input, &[])?;
        Ok(theirs)
    }

    pub(super) fn serve_viewer(&mut self, token: u32) {
        let Some(at) = self.viewers.iter().position(|viewer| viewer.token == token) else { return };
        self.changes += 1;
        let mut state = self.viewers[at].flush();
        if state.is_ok() && self.viewers[at].gives_input() && self.waiting.is_empty() {
            state = self.read_input(at);
        }
        if state.is_err() {
            self.viewers.swap_remove(at);
        }
        self.feed_container();
    }

    fn read_input(&mut self, at: usize) -> Result<(), Gone> {
        self.waiting.reserve(READ / 16);
        match rustix::io::read(self.viewers[at].fd(), spare_capacity(&mut self.waiting)) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Ok(n) if n > 0 => Ok(()),
            _ => {
                self.closing_stdin |= self.stdin_once;
                self.viewers[at].end_input()
            }
        }
    }

    /// Writes pending input to the container, and closes its stdin if that was the last.
    pub(super) fn feed_container(&mut self) {
        while !self.waiting.is_empty() {
            let stdin = if self.terminal { &self.outputs[0] } else { &self.stdin };
            let Some(fd) = stdin else { return self.close_stdin() };
            match rustix::io::write(fd, &self.waiting) {
                Ok(n) => drop(self.waiting.drain(..n)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => return self.close_stdin(),
            }
            self.changes += 1;
        }
        self.waiting = Vec::new();
        if self.closing_stdin {
            self.close_stdin();
        }
    }

    /// Gives the container end of file; clients that still send see a closed pipe.
    pub(super) fn close_stdin(&mut self) {
        self.waiting = Vec::new();
        if self.stdin.take().is_some() {
            self.viewers.retain_mut(|viewer| !viewer.gives_input());
            self.changes += 1;
        }
    }
}
