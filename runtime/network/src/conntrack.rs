// SPDX-License-Identifier: Apache-2.0
//! Drops tracked UDP flows to a host port when its translation rule is added or removed. Otherwise a client that keeps
//! sending would keep its old destination.
//!
//! This is one ctnetlink request with a filter on protocol, destination port, and the IPv4 address of a host port that is
//! at one. The kernel walks its own table (Linux 5.8 or newer; older kernels refuse the request). Blocking, and best
//! effort: flows expire once the client pauses.

use crate::binding::{Place, Protocol};
use crate::error::NetworkError;
use crate::nfnetlink::exchange;
use gorae_kernel::netlink::{ACK, NESTED, REQUEST, attribute_of};
use std::io;
use std::net::IpAddr;

// linux/netfilter/nfnetlink_conntrack.h
const CT_DELETE: u16 = (1 << 8) | 2;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_FILTER: u16 = 25;
const CTA_TUPLE_IP: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_DST_PORT: u16 = 3;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const CTA_FILTER_REPLY_FLAGS: u16 = 2;
/// Compare the protocol number and the destination port of the original direction.
const BY_PORT: u32 = (1 << 3) | (1 << 5);
/// Compare its destination address, too.
const BY_ADDRESS: u32 = 1 << 1;
const UDP: u8 = 17;

/// Drops the tracked UDP flows to the UDP ports among `places`.
///
/// # Errors
/// [`NetworkError::Netlink`] with the kernel's error.
pub fn forget_udp(places: &[Place]) -> Result<(), NetworkError> {
    for place in places.iter().filter(|place| place.protocol == Protocol::Udp) {
        delete(place).map_err(|source| NetworkError::Netlink {
            what: "drop tracked flows to",
            object: place.to_string(),
            source,
        })?;
    }
    Ok(())
}

fn delete(place: &Place) -> io::Result<()> {
    let family = if place.at.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 } as u8;
    match exchange(CT_DELETE, REQUEST | ACK, family, &filter(place)) {
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => other,
    }
}

fn filter(place: &Place) -> Vec<u8> {
    let proto =
        [attribute_of(CTA_PROTO_NUM, &[UDP]), attribute_of(CTA_PROTO_DST_PORT, &place.port.to_be_bytes())].concat();
    let proto = attribute_of(CTA_TUPLE_PROTO | NESTED, &proto);
    let (ip, by) = match place.at {
        IpAddr::V4(at) if !at.is_unspecified() => {
            let at = attribute_of(CTA_IP_V4_DST, &at.octets());
            (attribute_of(CTA_TUPLE_IP | NESTED, &at), BY_PORT | BY_ADDRESS)
        }
        // Linux 6.18 compares IPv6 addresses the wrong way round: it would drop all flows but these.
        _ => (Vec::new(), BY_PORT),
    };
    let tuple = attribute_of(CTA_TUPLE_ORIG | NESTED, &[ip, proto].concat());
    let flags = [
        attribute_of(CTA_FILTER_ORIG_FLAGS, &by.to_ne_bytes()),
        attribute_of(CTA_FILTER_REPLY_FLAGS, &0u32.to_ne_bytes()),
    ]
    .concat();
    [tuple, attribute_of(CTA_FILTER | NESTED, &flags)].concat()
}
