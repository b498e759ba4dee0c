// SPDX-License-Identifier: Apache-2.0
//! The way to a server for one question: a socket of its own, so that each question has another port. It is connected, so
//! that the kernel takes nothing from anybody else.

use crate::decide::Transport;
use crate::framed::Framed;
use crate::poll::Wanted;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

/// The longest answer: what the length before a message can say.
const MAX_ANSWER: usize = 0xffff;

/// A socket to a server.
#[derive(Debug)]
pub(super) enum Link {
    Datagram(UdpSocket),
    Stream(Framed),
}

impl Link {
    /// Opens one and sends the question, or as much of it as can be sent now.
    pub(super) fn open(server: SocketAddr, by: Transport, question: &[u8]) -> io::Result<Self> {
        let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let kind = if by == Transport::Stream { SocketType::STREAM } else { SocketType::DGRAM };
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
        match connect(&socket, &server) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno.into()),
        }
        if by == Transport::Datagram {
            let socket = UdpSocket::from(socket);
            socket.send(question)?;
            return Ok(Self::Datagram(socket));
        }
        let mut framed = Framed::new(TcpStream::from(socket), MAX_ANSWER);
        framed.queue(question);
        Ok(Self::Stream(framed))
    }

    /// What to wait for at first.
    pub(super) fn wanted(&self) -> Wanted {
        match self {
            Self::Datagram(_) => Wanted::Input,
            Self::Stream(_) => Wanted::Room,
        }
    }

    /// Reads a message, if one has come; sends the rest of the question before that. The second value is what to wait for.
    pub(super) fn go_on(&mut self, buffer: &mut [u8]) -> io::Result<(Option<Vec<u8>>, Wanted)> {
        match self {
            Self::Datagram(socket) => match socket.recv(buffer) {
                Ok(length) => Ok((Some(buffer[..length].to_vec()), Wanted::Input)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => Ok((None, Wanted::Input)),
                Err(e) => Err(e),
            },
            Self::Stream(framed) => match framed.flush()? {
                true => Ok((framed.receive()?, Wanted::Input)),
                false => Ok((None, Wanted::Room)),
            },
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Datagram(socket) => socket.as_fd(),
            Self::Stream(framed) => framed.as_fd(),
        }
    }
}
