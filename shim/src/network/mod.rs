// SPDX-License-Identifier: Apache-2.0
//! A pod's built-in network: loopback, and one veth pair whose host end hangs in a bridge.
//!
//! Owns the interfaces; which addresses there are, the bridge itself and the packet filter are the daemon's. Every
//! function talks through the socket it is given, so it works in that socket's namespace whatever namespace the
//! process is in.
//!
//! The pod's end has a MAC address made from its first IP address: when an address is used again by the next pod,
//! what neighbours have cached about it stays true.

mod addresses;
mod netlink;
mod veth;

pub use addresses::{Network, forget_addresses};
pub use netlink::Route;
pub use veth::{Peer, create, delete, peer_of};

use crate::failure::Result;
use netlink::Request;
use netlink_packet_route::link::{LinkFlags, LinkHeader, LinkMessage};

/// The loopback interface of every namespace.
const LOOPBACK: u32 = 1;

/// Brings loopback up in the socket's namespace, and nothing else.
pub fn loopback_up(route: &mut Route) -> Result<()> {
    route.run(&[loopback()])
}

fn loopback() -> Request {
    set_up(LOOPBACK, "lo")
}

fn set_up(index: u32, name: &str) -> Request {
    let mut up = LinkMessage::default();
    up.header = up_header(index);
    Request::new(libc::RTM_NEWLINK, 0, &up, "bring up interface", name)
}

/// The head of a message that sets the interface (or the one being made, for 0) up.
fn up_header(index: u32) -> LinkHeader {
    LinkHeader { index, flags: LinkFlags::Up, change_mask: LinkFlags::Up, ..LinkHeader::default() }
}
