// SPDX-License-Identifier: Apache-2.0
//! The requests of which a pod's network is made: addresses, routes and neighbours of one interface.

use super::netlink::{CREATE, Request};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use std::net::IpAddr;

/// Flags to create an object, or to take the place of what another interface had.
const REPLACE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;

/// Gives an interface an address, unless the daemon, which looks after host ends, was faster.
pub(super) fn address(index: u32, ip: IpAddr, prefix: u8) -> Request {
    let mut message = AddressMessage::default();
    message.header.family = family(ip);
    message.header.prefix_len = prefix;
    message.header.index = index;
    message.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
    if ip.is_ipv6() {
        // The daemon assigns an address to one pod at a time, and duplicate address detection would take a second.
        message.header.flags = AddressHeaderFlags::Nodad;
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    Request::new(libc::RTM_NEWADDR, REPLACE, &message, "add address", format!("{ip}/{prefix}"))
}

/// Routes everything to a gateway on the link.
pub(super) fn default_route(index: u32, gateway: IpAddr) -> Request {
    // A link-local gateway is on the link by its nature.
    let onlink = !matches!(gateway, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let mut message = route(index, gateway, RouteScope::Universe);
    message.header.flags = if onlink { RouteFlags::Onlink } else { RouteFlags::empty() };
    message.attributes.push(RouteAttribute::Gateway(route_address(gateway)));
    Request::new(libc::RTM_NEWROUTE, CREATE, &message, "add default route", format!("via {gateway}"))
}

/// Routes everything to a gateway inside the subnet of an interface that is up: the kernel finds out which. It takes the place
/// of an earlier one.
pub(super) fn default_route_inside(gateway: IpAddr) -> Request {
    let mut message = route(0, gateway, RouteScope::Universe);
    message.attributes = vec![RouteAttribute::Gateway(route_address(gateway))];
    Request::new(libc::RTM_NEWROUTE, REPLACE, &message, "add default route", format!("via {gateway}"))
}

/// Routes one address to an interface, even if another interface had it. `source` is the address from which the node
/// itself talks to it.
pub(super) fn host_route(index: u32, to: IpAddr, source: IpAddr) -> Request {
    let mut message = route(index, to, if to.is_ipv4() { RouteScope::Link } else { RouteScope::Universe });
    message.header.destination_prefix_length = if to.is_ipv4() { 32 } else { 128 };
    message.attributes.push(RouteAttribute::Destination(route_address(to)));
    message.attributes.push(RouteAttribute::PrefSource(route_address(source)));
    Request::new(libc::RTM_NEWROUTE, REPLACE, &message, "add route", format!("to {to} from {source}"))
}

/// Tells an interface which hardware address a neighbour has, for good: nothing has to be asked, and nobody else's
/// answer counts. The kernel's limit on neighbours does not count such entries.
pub(super) fn neighbour(index: u32, ip: IpAddr, mac: [u8; 6]) -> Request {
    let to = match ip {
        IpAddr::V4(ip) => NeighbourAddress::Inet(ip),
        IpAddr::V6(ip) => NeighbourAddress::Inet6(ip),
    };
    let mut message = NeighbourMessage::default();
    message.header.family = family(ip);
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message.attributes = vec![NeighbourAttribute::Destination(to), NeighbourAttribute::LinkLayerAddress(mac.to_vec())];
    Request::new(libc::RTM_NEWNEIGH, REPLACE, &message, "add neighbour", ip.to_string())
}

fn route(index: u32, of: IpAddr, scope: RouteScope) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family(of),
        table: RouteHeader::RT_TABLE_MAIN,
        protocol: RouteProtocol::Boot,
        scope,
        kind: RouteType::Unicast,
        ..RouteHeader::default()
    };
    message.attributes = vec![RouteAttribute::Oif(index)];
    message
}

fn route_address(ip: IpAddr) -> RouteAddress {
    match ip {
        IpAddr::V4(ip) => RouteAddress::Inet(ip),
        IpAddr::V6(ip) => RouteAddress::Inet6(ip),
    }
}

fn family(ip: IpAddr) -> AddressFamily {
    if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}
