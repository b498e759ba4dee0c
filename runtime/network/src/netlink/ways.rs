// SPDX-License-Identifier: Apache-2.0
//! Which route leads to an address, and which interfaces lead everywhere else.

use super::socket::Rtnl;
use crate::error::NetworkError;
use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteFlags, RouteMessage};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The route to an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Its destination when all of it is on the interface's link: those the address answers without the node in between.
    /// Else the address alone.
    pub on_link: IpNet,
    /// The interface it names.
    pub interface: Option<String>,
}

impl Rtnl {
    /// Finds the route to an address, as a packet of the node would take it.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`], with `ENETUNREACH` when there is none.
    pub fn way(&mut self, to: IpAddr) -> Result<Way, NetworkError> {
        let fail = |source| NetworkError::Netlink { what: "find the route to", object: to.to_string(), source };
        let answers = self.exchange(Message::GetRoute(request(to)), 0).map_err(fail)?;
        let route = answers.iter().find_map(|m| if let Message::NewRoute(route) = m { Some(route) } else { None });
        let index =
            route.and_then(|route| attribute(route, |a| if let RouteAttribute::Oif(i) = a { Some(*i) } else { None }));
        let interface = match index {
            Some(index) => self.name_of(index)?,
            None => None,
        };
        Ok(Way { on_link: route.map_or_else(|| to.into(), |route| on_link(route, to)), interface })
    }

    /// The names of the interfaces that an IPv4 default route of any table uses.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`].
    pub fn uplinks(&mut self) -> Result<BTreeSet<String>, NetworkError> {
        let mut request = RouteMessage::default();
        request.header.address_family = AddressFamily::Inet;
        let found = self.dump("list routes", Message::GetRoute(request))?;
        let routes = found.iter().filter_map(|m| if let Message::NewRoute(route) = m { Some(route) } else { None });
        let default = routes.filter(|route| route.header.destination_prefix_length == 0);
        let indices: BTreeSet<u32> = default.flat_map(exits).collect();
        let names = indices.into_iter().filter_map(|index| self.name_of(index).transpose());
        names.collect()
    }

    fn name_of(&mut self, index: u32) -> Result<Option<String>, NetworkError> {
        let mut request = LinkMessage::default();
        request.header.index = index;
        let fail = |source| NetworkError::Netlink { what: "look up", object: format!("interface {index}"), source };
        let answers = self.exchange(Message::GetLink(request), 0).map_err(fail)?;
        Ok(answers.iter().find_map(name))
    }
}

/// Asks for the entry of the routing table, not for what follows from it for this one address.
fn request(to: IpAddr) -> RouteMessage {
    let mut request = RouteMessage::default();
    request.header.flags = RouteFlags::FibMatch;
    request.header.destination_prefix_length = IpNet::from(to).prefix_len();
    let (family, address) = match to {
        IpAddr::V4(ip) => (AddressFamily::Inet, RouteAddress::Inet(ip)),
        IpAddr::V6(ip) => (AddressFamily::Inet6, RouteAddress::Inet6(ip)),
    };
    request.header.address_family = family;
    request.attributes = vec![RouteAttribute::Destination(address)];
    request
}

/// Indices of the interfaces that a route uses.
fn exits(route: &RouteMessage) -> Vec<u32> {
    let of = |attribute: &RouteAttribute| match attribute {
        RouteAttribute::Oif(index) => vec![*index],
        RouteAttribute::MultiPath(hops) => hops.iter().map(|hop| hop.interface_index).collect(),
        _ => Vec::new(),
    };
    route.attributes.iter().flat_map(of).collect()
}

fn on_link(route: &RouteMessage, to: IpAddr) -> IpNet {
    let through = |a: &RouteAttribute| {
        let gateway = matches!(a, RouteAttribute::Gateway(_) | RouteAttribute::Via(_) | RouteAttribute::MultiPath(_));
        gateway.then_some(())
    };
    let length = route.header.destination_prefix_length;
    if length == 0 || attribute(route, through).is_some() {
        return to.into();
    }
    IpNet::new(to, length).map_or_else(|_| to.into(), |net| net.trunc())
}

fn attribute<T>(route: &RouteMessage, f: impl Fn(&RouteAttribute) -> Option<T>) -> Option<T> {
    route.attributes.iter().find_map(f)
}

fn name(message: &Message) -> Option<String> {
    let Message::NewLink(link) = message else { return None };
    link.attributes.iter().find_map(|a| if let LinkAttribute::IfName(name) = a { Some(name.clone()) } else { None })
}
