// SPDX-License-Identifier: Apache-2.0
//! The kernel's notices that addresses of the node came or went. What they say is not read: who wants to know looks.

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

// linux/rtnetlink.h: RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
const ADDRESSES: u32 = 0x10 | 0x100;

/// A socket that hears of changes, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct AddressNotices(AsyncFd<OwnedFd>);

impl AddressNotices {
    /// Listens from now on.
    ///
    /// # Errors
    /// The kernel's error.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // No protocol is the kernel's default for netlink, which is routes.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, ADDRESSES))?;
        Ok(Self(register(socket)?))
    }

    /// Waits until addresses changed since the last call.
    ///
    /// # Errors
    /// The kernel's error.
    pub async fn changed(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|socket| drain(socket.get_ref())) {
                Ok(done) => return done,
                Err(_would_block) => {}
            }
        }
    }
}

#[expect(deprecated, reason = "the replacement is unsafe for types that swap their descriptor; an OwnedFd does not")]
fn register(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}

/// Reads all that is there. More than the socket holds is a notice as well.
fn drain(socket: &OwnedFd) -> io::Result<()> {
    let mut some = false;
    loop {
        let mut notice = Vec::with_capacity(4096);
        match recv(socket, spare_capacity(&mut notice), RecvFlags::empty()) {
            Ok(_) | Err(Errno::NOBUFS) => some = true,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if some => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
    }
}
