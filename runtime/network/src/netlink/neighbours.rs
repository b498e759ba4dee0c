// SPDX-License-Identifier: Apache-2.0
//! Neighbours: those whose hardware address is known for good, and those that the node answers for.

use super::socket::Rtnl;
use crate::error::NetworkError;
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use std::net::{IpAddr, Ipv6Addr};

impl Rtnl {
    /// Tells an interface which hardware address a neighbour has, for good, as the shim does when it sets the pod up.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`] when the kernel refuses, with `ENODEV` if the interface is gone.
    pub fn know_neighbour(&mut self, index: u32, ip: IpAddr, hardware: [u8; 6]) -> Result<(), NetworkError> {
        let mut request = neighbour(index, ip);
        request.header.state = NeighbourState::Permanent;
        request.attributes.push(NeighbourAttribute::LinkLayerAddress(hardware.to_vec()));
        let flags = NLM_F_CREATE | NLM_F_REPLACE;
        self.acked("add neighbour", &ip.to_string(), Message::NewNeighbour(request), flags)
    }

    /// Answers on an interface for an IPv6 address that is behind another one.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`] when the kernel refuses, with `ENODEV` if the interface is gone.
    pub fn answer_for(&mut self, index: u32, ip: Ipv6Addr) -> Result<(), NetworkError> {
        let flags = NLM_F_CREATE | NLM_F_REPLACE;
        self.acked("answer for", &ip.to_string(), Message::NewNeighbour(proxy(index, ip)), flags)
    }

    /// Ends what [`answer_for`](Self::answer_for) began.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`] when the kernel refuses. An address for which it does not answer is no error.
    pub fn stop_answering_for(&mut self, index: u32, ip: Ipv6Addr) -> Result<(), NetworkError> {
        match self.exchange(Message::DelNeighbour(proxy(index, ip)), NLM_F_ACK) {
            Ok(_) => Ok(()),
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => Ok(()),
            Err(source) => Err(NetworkError::Netlink { what: "stop answering for", object: ip.to_string(), source }),
        }
    }

    /// Lists the IPv6 addresses for which the node answers on an interface.
    ///
    /// # Errors
    /// As [`Rtnl::addresses`].
    pub fn answered_for(&mut self, index: u32) -> Result<Vec<Ipv6Addr>, NetworkError> {
        let mut request = NeighbourMessage::default();
        request.header.family = AddressFamily::Inet6;
        request.header.flags = NeighbourFlags::Proxy;
        let found = self.dump("list answers", Message::GetNeighbour(request))?;
        let entries =
            found.iter().filter_map(|m| if let Message::NewNeighbour(entry) = m { Some(entry) } else { None });
        let ours =
            entries.filter(|entry| entry.header.ifindex == index && entry.header.flags.contains(NeighbourFlags::Proxy));
        Ok(ours.filter_map(destination).collect())
    }
}

fn neighbour(index: u32, ip: IpAddr) -> NeighbourMessage {
    let (family, to) = match ip {
        IpAddr::V4(ip) => (AddressFamily::Inet, NeighbourAddress::Inet(ip)),
        IpAddr::V6(ip) => (AddressFamily::Inet6, NeighbourAddress::Inet6(ip)),
    };
    let mut message = NeighbourMessage::default();
    message.header.family = family;
    message.header.ifindex = index;
    message.attributes = vec![NeighbourAttribute::Destination(to)];
    message
}

fn proxy(index: u32, ip: Ipv6Addr) -> NeighbourMessage {
    let mut message = neighbour(index, ip.into());
    message.header.flags = NeighbourFlags::Proxy;
    message
}

fn destination(entry: &NeighbourMessage) -> Option<Ipv6Addr> {
    entry.attributes.iter().find_map(|a| match a {
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => Some(*ip),
        _ => None,
    })
}
