// SPDX-License-Identifier: Apache-2.0
//! One request to the kernel's netfilter subsystems and its one answer, in the caller's network namespace. Blocking.

use gorae_kernel::netlink;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use std::io;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(5);

/// Sends one message and reads the answer.
///
/// - Shapes: `kind` is subsystem (high byte) and message, `attributes` what follows `struct nfgenmsg`.
/// - Errors: the kernel's answer; `TimedOut` and the like when there is none.
pub fn exchange(kind: u16, flags: u16, family: u8, attributes: &[u8]) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(DEADLINE))?;
    socket.send(&message(kind, flags, family, attributes), 0)?;
    let mut answer = Vec::with_capacity(4096);
    socket.recv(&mut answer, 0)?;
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
