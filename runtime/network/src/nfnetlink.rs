// SPDX-License-Identifier: Apache-2.0
//! One request to the kernel's netfilter subsystems and its reply, in the caller's network namespace. Blocking.

use gorae_kernel::netlink;
use gorae_kernel::netlink_socket::{Family, NetlinkSocket};
use std::io;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(5);

/// Sends one message and reads the reply.
///
/// - Shapes: `kind` is subsystem (high byte) and message; `attributes` are the bytes after `struct nfgenmsg`.
///
/// # Errors
/// The kernel's error; `WouldBlock` when it does not reply in time.
pub fn exchange(kind: u16, flags: u16, family: u8, attributes: &[u8]) -> io::Result<()> {
    let socket = NetlinkSocket::open(Family::Netfilter, DEADLINE)?;
    socket.send(&message(kind, flags, family, attributes))?;
    let answer = socket.receive()?;
    match netlink::answers(&answer).find_map(|answer| answer.end()).unwrap_or(0) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

fn message(kind: u16, flags: u16, family: u8, attributes: &[u8]) -> Vec<u8> {
    // struct nfgenmsg: family, version 0, resource id 0.
    let body = [&[family, 0, 0, 0][..], attributes].concat();
    let mut message = Vec::with_capacity(netlink::HEADER + body.len());
    netlink::push_message(&mut message, kind, flags, 1, &body);
    message
}
