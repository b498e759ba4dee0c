// SPDX-License-Identifier: Apache-2.0
//! Drops tracked UDP flows to a host port when its translation comes or goes: a client that keeps sending would
//! otherwise keep the old destination for as long as it sends.
//!
//! One ctnetlink request with a filter on protocol and destination port; the kernel walks its own table (Linux 5.8 or
//! newer; older ones refuse it). Blocking, and best effort: the flows end by themselves when the client pauses.

use super::NetworkError;
use super::ports::{Binding, Protocol};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use std::io;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(5);

// linux/netfilter/nfnetlink_conntrack.h
const CT_DELETE: u16 = (1 << 8) | 2;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_FILTER: u16 = 25;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_DST_PORT: u16 = 3;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const CTA_FILTER_REPLY_FLAGS: u16 = 2;
/// Compare the protocol number and the destination port of the original direction.
const FILTER_FLAGS: u32 = (1 << 3) | (1 << 5);
const NESTED: u16 = 1 << 15;
const REQUEST_ACK: u16 = 1 | 4;
const UDP: u8 = 17;

/// Forgets the tracked UDP flows to the host ports among `bindings`.
///
/// - Errors: [`NetworkError::Netlink`] with the kernel's answer.
pub fn forget_udp(bindings: &[Binding]) -> Result<(), NetworkError> {
    for binding in bindings.iter().filter(|binding| binding.protocol == Protocol::Udp) {
        delete(binding).map_err(|source| NetworkError::Netlink {
            what: "forget tracked flows to",
            object: binding.place(),
            source,
        })?;
    }
    Ok(())
}

fn delete(binding: &Binding) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(DEADLINE))?;
    socket.send(&request(binding), 0)?;
    let mut answer = Vec::with_capacity(4096);
    socket.recv(&mut answer, 0)?;
    // struct nlmsghdr, then the errno of struct nlmsgerr.
    let errno = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_ne_bytes);
    match -errno {
        0 | nix::libc::ENOENT => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

fn request(binding: &Binding) -> Vec<u8> {
    let family = if binding.at.is_ipv4() { nix::libc::AF_INET } else { nix::libc::AF_INET6 } as u8;
    let proto = [attribute(CTA_PROTO_NUM, &[UDP]), attribute(CTA_PROTO_DST_PORT, &binding.port.to_be_bytes())].concat();
    let tuple = attribute(CTA_TUPLE_ORIG | NESTED, &attribute(CTA_TUPLE_PROTO | NESTED, &proto));
    let flags = [
        attribute(CTA_FILTER_ORIG_FLAGS, &FILTER_FLAGS.to_ne_bytes()),
        attribute(CTA_FILTER_REPLY_FLAGS, &0u32.to_ne_bytes()),
    ]
    .concat();
    let filter = attribute(CTA_FILTER | NESTED, &flags);
    // struct nfgenmsg: family, version 0, resource id 0.
    let body = [&[family, 0, 0, 0][..], &tuple, &filter].concat();
    let mut message = Vec::with_capacity(16 + body.len());
    message.extend_from_slice(&(16 + body.len() as u32).to_ne_bytes());
    message.extend_from_slice(&CT_DELETE.to_ne_bytes());
    message.extend_from_slice(&REQUEST_ACK.to_ne_bytes());
    message.extend_from_slice(&1u32.to_ne_bytes());
    message.extend_from_slice(&0u32.to_ne_bytes());
    message.extend_from_slice(&body);
    message
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + value.len().next_multiple_of(4));
    bytes.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
