// SPDX-License-Identifier: Apache-2.0
//! One request to the kernel's netfilter subsystems and its one answer, in the caller's network namespace. Blocking.

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use std::io;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(5);

/// `NLM_F_REQUEST`.
pub const REQUEST: u16 = 1;
/// `NLM_F_ACK`: without another answer, say that it is done.
pub const ACK: u16 = 4;
/// Bit of an attribute that holds attributes.
pub const NESTED: u16 = 1 << 15;
/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;

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
    let is_error = answer.get(4..6) == Some(&ERROR.to_ne_bytes()[..]);
    // In an error (which 0 is, too) the errno of struct nlmsgerr follows the header.
    let errno = answer.get(HEADER..HEADER + 4).filter(|_| is_error).and_then(|bytes| bytes.try_into().ok());
    match errno.map_or(0, i32::from_ne_bytes) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(-errno)),
    }
}

fn message(kind: u16, flags: u16, family: u8, attributes: &[u8]) -> Vec<u8> {
    // struct nfgenmsg: family, version 0, resource id 0.
    let body = [&[family, 0, 0, 0][..], attributes].concat();
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend_from_slice(&((HEADER + body.len()) as u32).to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    message.extend_from_slice(&1u32.to_ne_bytes());
    message.extend_from_slice(&0u32.to_ne_bytes());
    message.extend_from_slice(&body);
    message
}

/// One attribute, padded.
pub fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + value.len().next_multiple_of(4));
    bytes.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
