// SPDX-License-Identifier: Apache-2.0
//! One attached client's end of one stream: a bounded queue towards the client, or bytes from it.
//!
//! Without a terminal a client has up to three of these (pipes), with a terminal a single socket for both directions.
//! The container never waits for a client: up to [`QUEUE`] bytes that it does not read in time are queued. Beyond that
//! the client is dropped with all its descriptors; it can still read what the kernel has buffered, then end of file.

use crate::log::Stream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes kept for a client beyond what its pipe or socket holds.
pub const QUEUE: usize = 1 << 20;

/// What a client's descriptor carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// A copy of one output stream.
    Output(Stream),
    /// Bytes for the container's stdin.
    Input,
    /// Both, through one socket.
    Terminal,
}

/// A client's descriptor, as the shim sees it.
#[derive(Debug)]
pub struct Viewer {
    pub(crate) token: u32,
    /// The attach call that made it.
    pub(crate) client: u64,
    fd: OwnedFd,
    carries: Carries,
    queue: VecDeque<u8>,
    ended: bool,
}

/// Why a client's descriptor must be dropped.
#[derive(Debug, PartialEq, Eq)]
pub enum Gone {
    /// The client closed its end, or everything has been sent.
    Away,
    /// It is too far behind. Its other descriptors are dropped too, so that it cannot take this for the normal end of a
    /// stream.
    Behind,
}

impl Viewer {
    /// `fd` must be non-blocking.
    pub(crate) fn new(token: u32, client: u64, fd: OwnedFd, carries: Carries) -> Self {
        Self { token, client, fd, carries, queue: VecDeque::new(), ended: false }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Whether bytes for the container's stdin come from this descriptor.
    pub(crate) fn gives_input(&self) -> bool {
        matches!(self.carries, Carries::Input | Carries::Terminal)
    }

    /// Ends the client's input. `Err` when the descriptor carries nothing else.
    pub(crate) fn end_input(&mut self) -> Result<(), Gone> {
        if self.carries != Carries::Terminal {
            return Err(Gone::Away);
        }
        self.carries = Carries::Output(Stream::Stdout);
        Ok(())
    }

    pub(crate) fn wants_room(&self) -> bool {
        !self.queue.is_empty()
    }

    fn shows(&self, stream: Stream) -> bool {
        match self.carries {
            Carries::Output(own) => own == stream,
            Carries::Terminal => true,
            Carries::Input => false,
        }
    }

    /// Forwards output, or queues it. `Err` when the client is gone or too far behind.
    pub(crate) fn show(&mut self, stream: Stream, mut output: &[u8]) -> Result<(), Gone> {
        if !self.shows(stream) {
            return Ok(());
        }
        if self.queue.is_empty() {
            let sent = send(&self.fd, output)?;
            output = &output[sent..];
        }
        if self.queue.len() + output.len() > QUEUE {
            return Err(Gone::Behind);
        }
        self.queue.extend(output);
        Ok(())
    }

    /// Ends an output stream. `Err` when everything has been sent, so that the client can be shown the end of file.
    pub(crate) fn end_output(&mut self, stream: Stream) -> Result<(), Gone> {
        if !self.shows(stream) {
            return Ok(());
        }
        self.ended = true;
        if self.queue.is_empty() { Err(Gone::Away) } else { Ok(()) }
    }

    /// Sends queued output when the descriptor is ready. `Err` when the client is gone or everything has been sent.
    pub(crate) fn flush(&mut self) -> Result<(), Gone> {
        while !self.queue.is_empty() {
            let sent = send(&self.fd, self.queue.as_slices().0)?;
            if sent == 0 {
                return Ok(());
            }
            self.queue.drain(..sent);
        }
        self.queue = VecDeque::new();
        if self.ended || (!self.gives_input() && hung_up(&self.fd)) { Err(Gone::Away) } else { Ok(()) }
    }
}

/// Sends as much as possible without blocking.
fn send(fd: &OwnedFd, mut bytes: &[u8]) -> Result<usize, Gone> {
    let whole = bytes.len();
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(_) => return Err(Gone::Away),
        }
    }
    Ok(whole - bytes.len())
}

/// Whether the other end is closed, which poll(2) reports even when no event was requested.
pub(crate) fn hung_up(fd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok_and(|n| n > 0) && fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}
