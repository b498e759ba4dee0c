// SPDX-License-Identifier: Apache-2.0
//! Waits for sockets, which are known by a number that is never used again: what is reported about one that was closed
//! in the meantime finds nothing.

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Events per turn.
const BATCH: usize = 64;
const KIND_SHIFT: u32 = 56;

/// Which socket is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// A client's datagrams.
    Datagrams(u64),
    /// A client's new connections.
    Listener(u64),
    /// A client's connection.
    Stream(u64),
    /// A question to a server.
    Relay(u64),
}

/// What to wait for. Errors are always reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Nothing,
    Input,
    Room,
}

/// One epoll instance. Closing a socket removes it.
#[derive(Debug)]
pub(crate) struct Poll(OwnedFd);

impl Poll {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(CreateFlags::CLOEXEC)?))
    }

    pub(crate) fn add(&self, socket: impl AsFd, token: Token, wanted: Wanted) -> io::Result<()> {
        Ok(epoll::add(&self.0, socket, EventData::new_u64(token.encode()), wanted.into())?)
    }

    pub(crate) fn change(&self, socket: impl AsFd, token: Token, wanted: Wanted) {
        // Fails only for a socket that was never added.
        let _ = epoll::modify(&self.0, socket, EventData::new_u64(token.encode()), wanted.into());
    }

    /// What is ready now.
    pub(crate) fn ready(&self) -> Vec<Token> {
        let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; BATCH];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let n = epoll::wait(&self.0, &mut events[..], Some(&now)).unwrap_or(0);
        events[..n].iter().filter_map(|event| Token::decode(event.data.u64())).collect()
    }
}

impl AsFd for Poll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Token {
    fn encode(self) -> u64 {
        let (kind, id) = match self {
            Self::Datagrams(id) => (0, id),
            Self::Listener(id) => (1, id),
            Self::Stream(id) => (2, id),
            Self::Relay(id) => (3, id),
        };
        kind << KIND_SHIFT | id
    }

    fn decode(data: u64) -> Option<Self> {
        let id = data & ((1 << KIND_SHIFT) - 1);
        match data >> KIND_SHIFT {
            0 => Some(Self::Datagrams(id)),
            1 => Some(Self::Listener(id)),
            2 => Some(Self::Stream(id)),
            3 => Some(Self::Relay(id)),
            _ => None,
        }
    }
}

impl From<Wanted> for EventFlags {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Nothing => Self::empty(),
            Wanted::Input => Self::IN,
            Wanted::Room => Self::OUT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_survives_the_kernel() {
        for token in [Token::Datagrams(7), Token::Listener(1 << 50), Token::Stream(0), Token::Relay(u64::MAX >> 8)] {
            assert_eq!(Token::decode(token.encode()), Some(token));
        }
        assert_eq!(Token::decode(u64::MAX), None);
    }
}
