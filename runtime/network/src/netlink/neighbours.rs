// SPDX-License-Identifier: Apache-2.0
//! Neighbours that the node answers for.

use super::socket::Rtnl;
use crate::error::NetworkError;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage};
use std::net::Ipv6Addr;

impl Rtnl {
    /// Answers on an interface for an IPv6 address that is behind another one.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`] when the kernel refuses, with `ENODEV` if the interface is gone.
    pub fn answer_for(&mut self, index: u32, ip: Ipv6Addr) -> Result<(), NetworkError> {
        let mut request = NeighbourMessage::default();
        request.header.family = AddressFamily::Inet6;
        request.header.ifindex = index;
        request.header.flags = NeighbourFlags::Proxy;
        request.attributes = vec![NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip))];
        let flags = NLM_F_CREATE | NLM_F_REPLACE;
        self.acked("answer for", &ip.to_string(), Message::NewNeighbour(request), flags)
    }
}
