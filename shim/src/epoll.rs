// SPDX-License-Identifier: Apache-2.0
//! Waits for descriptors, which are identified by a [`Token`] and never by their number.

use crate::failure::{self, Result};
use rustix::event::epoll::{self, CreateFlags, Event, EventData};
use rustix::event::{Timespec, epoll::EventFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Events per wait. A busy shim has its container's two pipes and an exec or two.
const BATCH: usize = 8;

/// Which descriptor is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// A daemon wants to connect.
    Listener,
    /// A descriptor of the container's stdio.
    Stdio,
    /// The container's first process has ended.
    Container,
    /// A daemon has sent something, or can receive more.
    Client(u64),
    /// An exec's child has started its program, or failed to.
    Fault(u64),
    /// An exec's process has ended.
    Exec(u64),
    /// The name server has something to do.
    Names,
}

/// The readiness to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Readable.
    Input,
    /// Readable, or writable.
    InputOrRoom,
}

impl Wanted {
    /// For a socket, with or without output to send.
    pub fn of_socket(has_output: bool) -> Self {
        if has_output { Self::InputOrRoom } else { Self::Input }
    }
}

const KIND_SHIFT: u32 = 56;

impl Token {
    fn encode(self) -> u64 {
        let (kind, id) = match self {
            Self::Listener => (0, 0),
            Self::Stdio => (1, 0),
            Self::Container => (2, 0),
            Self::Client(id) => (3, id),
            Self::Fault(id) => (4, id),
            Self::Exec(id) => (5, id),
            Self::Names => (6, 0),
        };
        kind << KIND_SHIFT | id
    }

    fn decode(data: u64) -> Option<Self> {
        let id = data & ((1 << KIND_SHIFT) - 1);
        match data >> KIND_SHIFT {
            0 => Some(Self::Listener),
            1 => Some(Self::Stdio),
            2 => Some(Self::Container),
            3 => Some(Self::Client(id)),
            4 => Some(Self::Fault(id)),
            5 => Some(Self::Exec(id)),
            6 => Some(Self::Names),
            _ => None,
        }
    }
}

/// One epoll instance. Closing a descriptor removes it.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    /// Makes an empty instance.
    ///
    /// # Errors
    /// The kernel's error, for example when no descriptor is free.
    pub fn new() -> Result<Self> {
        epoll::create(CreateFlags::CLOEXEC).map(Self).map_err(|e| failure::kernel("make", "epoll", e))
    }

    /// Starts waiting for `fd`.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn add(&self, fd: impl AsFd, token: Token, wanted: Wanted) -> Result<()> {
        epoll::add(&self.0, fd, EventData::new_u64(token.encode()), wanted.into())
            .map_err(|e| failure::kernel("add to", "epoll", e))
    }

    /// Starts waiting for exactly the given readiness, with a number that the caller chooses.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn add_raw(&self, fd: impl AsFd, data: u64, readable: bool, writable: bool) -> Result<()> {
        epoll::add(&self.0, fd, EventData::new_u64(data), flags(readable, writable))
            .map_err(|e| failure::kernel("add to", "epoll", e))
    }

    /// Changes the readiness that `fd` is watched for.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn modify(&self, fd: impl AsFd, token: Token, wanted: Wanted) -> Result<()> {
        epoll::modify(&self.0, fd, EventData::new_u64(token.encode()), wanted.into())
            .map_err(|e| failure::kernel("modify in", "epoll", e))
    }

    /// Stops waiting for `fd`.
    pub fn remove(&self, fd: impl AsFd) {
        let _ = epoll::delete(&self.0, fd);
    }

    /// Waits until a descriptor is ready or `until` is reached.
    pub fn wait(&self, until: Option<Instant>) -> Vec<Token> {
        self.wait_raw(until).into_iter().filter_map(Token::decode).collect()
    }

    /// Like [`Epoll::wait`], for numbers that the caller chose.
    pub fn wait_raw(&self, until: Option<Instant>) -> Vec<u64> {
        let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; BATCH];
        let timeout = until.map(|at| timespec(at.saturating_duration_since(Instant::now())));
        match epoll::wait(&self.0, &mut events[..], timeout.as_ref()) {
            Ok(n) => events[..n].iter().map(|event| event.data.u64()).collect(),
            Err(Errno::INTR) => Vec::new(),
            // No other error is possible with a valid descriptor and buffer.
            Err(_) => Vec::new(),
        }
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Wanted> for EventFlags {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Input => Self::IN,
            Wanted::InputOrRoom => Self::IN | Self::OUT,
        }
    }
}

fn flags(readable: bool, writable: bool) -> EventFlags {
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::IN, readable);
    flags.set(EventFlags::OUT, writable);
    flags
}

fn timespec(left: Duration) -> Timespec {
    Timespec { tv_sec: left.as_secs().min(i64::MAX as u64) as i64, tv_nsec: left.subsec_nanos().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_survives_the_kernel() {
        let tokens =
            [Token::Listener, Token::Stdio, Token::Container, Token::Client(7), Token::Fault(1 << 50), Token::Names];
        for token in tokens {
            assert_eq!(Token::decode(token.encode()), Some(token));
        }
    }
}
