// SPDX-License-Identifier: Apache-2.0
//! A socket to the kernel for netlink messages. [`crate::netlink`] encodes and decodes them.

use rustix::buffer::spare_capacity;
use rustix::io::retry_on_intr;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv, send, socket_with,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Larger than any datagram from the kernel, which fills at most 32 KiB.
const DATAGRAM: usize = 64 << 10;

/// Which part of the kernel a socket talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Interfaces, addresses and routes.
    Route,
    /// The sockets on the machine.
    SockDiag,
    /// Rule tables and tracked connections.
    Netfilter,
}

impl Family {
    /// `None` is the kernel's default for netlink, which is routes.
    fn protocol(self) -> Option<Protocol> {
        match self {
            Self::Route => None,
            Self::SockDiag => Some(rustix::net::netlink::SOCK_DIAG),
            Self::Netfilter => Some(rustix::net::netlink::NETFILTER),
        }
    }
}

/// An open socket, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct NetlinkSocket(OwnedFd);

impl NetlinkSocket {
    /// Opens a socket whose [`receive`](Self::receive) waits for at most `deadline`.
    ///
    /// # Errors
    /// The kernel's error, for example when it was built without this family.
    pub fn open(family: Family, deadline: Duration) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, family.protocol())?;
        // Port 0: the kernel chooses ours; the other end is the kernel itself.
        let kernel = SocketAddrNetlink::new(0, 0);
        bind(&socket, &kernel)?;
        connect(&socket, &kernel)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(deadline))?;
        Ok(Self(socket))
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// The kernel's error. The outcome of the request itself arrives as a reply.
    pub fn send(&self, datagram: &[u8]) -> io::Result<()> {
        retry_on_intr(|| send(&self.0, datagram, SendFlags::empty()))?;
        Ok(())
    }

    /// Receives one datagram.
    ///
    /// # Errors
    /// `WouldBlock` when the kernel did not reply within the deadline; otherwise the kernel's error.
    pub fn receive(&self) -> io::Result<Vec<u8>> {
        let mut datagram = Vec::with_capacity(DATAGRAM);
        retry_on_intr(|| recv(&self.0, spare_capacity(&mut datagram), RecvFlags::empty()))?;
        Ok(datagram)
    }
}

/// For socket options, and for the ioctls that take any socket of the namespace.
impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::{ACK, REQUEST, answers, push_message};

    #[test]
    fn the_kernel_answers_a_request_and_silence_ends_at_the_deadline() {
        let socket = NetlinkSocket::open(Family::Route, Duration::from_millis(50)).expect("a socket");
        let mut message = Vec::new();
        // No such message type: the error reply to it needs no privileges.
        push_message(&mut message, 0x3ff, REQUEST | ACK, 7, &[0; 16]);
        socket.send(&message).expect("sent");
        let datagram = socket.receive().expect("answered");
        let answer = answers(&datagram).next().expect("an answer");
        assert_eq!((answer.sequence, answer.end().is_some_and(|errno| errno > 0)), (7, true));
        assert_eq!(socket.receive().expect_err("silence").kind(), io::ErrorKind::WouldBlock);
    }
}
