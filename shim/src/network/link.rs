// SPDX-License-Identifier: Apache-2.0
//! Brings interfaces up.

use super::netlink::{Request, Route};
use crate::failure::Result;
use netlink_packet_route::link::{LinkFlags, LinkHeader, LinkMessage};

/// The index of the loopback interface in every namespace.
pub(super) const LOOPBACK: u32 = 1;

/// Brings loopback up in the socket's namespace, and nothing else.
///
/// # Errors
/// The kernel's error.
pub fn loopback_up(route: &mut Route) -> Result<()> {
    route.run(&[loopback()])
}

pub(super) fn loopback() -> Request {
    set_up(LOOPBACK, "lo")
}

pub(super) fn set_up(index: u32, name: &str) -> Request {
    let mut up = LinkMessage::default();
    up.header = LinkHeader { index, flags: LinkFlags::Up, change_mask: LinkFlags::Up, ..LinkHeader::default() };
    Request::new(libc::RTM_NEWLINK, 0, &up, "bring up interface", name)
}
