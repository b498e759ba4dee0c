// SPDX-License-Identifier: Apache-2.0
//! One request to the kernel's netfilter subsystems and its reply, in the caller's network namespace. Blocking.

use gorae_kernel::netlink;
use gorae_kernel::netlink_socket::{Family, NetlinkSocket};
use std::io;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(5);
/// `NLM_F_DUMP`.
const DUMP: u16 = 0x300;
/// `NLM_F_DUMP_INTR`.
const INTERRUPTED: u16 = 0x10;

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

/// Sends one request for a list, and reads what `read` makes of the family and the attributes of each entry.
///
/// # Errors
/// The kernel's error, `EINTR` when the list changed meanwhile; `WouldBlock` when it does not reply in time.
pub fn dump<T>(
    kind: u16,
    family: u8,
    attributes: &[u8],
    mut read: impl FnMut(u8, &[u8]) -> Option<T>,
) -> io::Result<Vec<T>> {
    let socket = NetlinkSocket::open(Family::Netfilter, DEADLINE)?;
    socket.send(&message(kind, netlink::REQUEST | DUMP, family, attributes))?;
    let mut found = Vec::new();
    loop {
        let datagram = socket.receive()?;
        for answer in netlink::answers(&datagram) {
            match answer.end() {
                Some(0) => return Ok(found),
                Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
                None if answer.flags & INTERRUPTED != 0 => return Err(io::ErrorKind::Interrupted.into()),
                None => found.extend(
                    answer.body.split_first_chunk().and_then(|([family, ..], rest): (&[u8; 4], _)| read(*family, rest)),
                ),
            }
        }
    }
}

fn message(kind: u16, flags: u16, family: u8, attributes: &[u8]) -> Vec<u8> {
    // struct nfgenmsg: family, version 0, resource id 0.
    let body = [&[family, 0, 0, 0][..], attributes].concat();
    let mut message = Vec::with_capacity(netlink::HEADER + body.len());
    netlink::push_message(&mut message, kind, flags, 1, &body);
    message
}
