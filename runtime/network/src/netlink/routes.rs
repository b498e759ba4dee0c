// SPDX-License-Identifier: Apache-2.0
//! Routes.

use super::socket::Rtnl;
use crate::error::NetworkError;
use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The properties of a route that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its destination; prefix length 0 is the default route.
    pub to: IpNet,
    /// Index of the interface it uses.
    pub via: Option<u32>,
}

impl Rtnl {
    /// Lists every unicast route of every table.
    ///
    /// # Errors
    /// As [`Rtnl::addresses`].
    pub fn routes(&mut self) -> Result<Vec<Route>, NetworkError> {
        let found = self.dump("list routes", Message::GetRoute(RouteMessage::default()))?;
        Ok(found.iter().filter_map(|m| if let Message::NewRoute(r) = m { route(r) } else { None }).collect())
    }
}

fn route(message: &RouteMessage) -> Option<Route> {
    let mut to: IpAddr = match message.header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let mut via = None;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(ip)) => to = (*ip).into(),
            RouteAttribute::Destination(RouteAddress::Inet6(ip)) => to = (*ip).into(),
            RouteAttribute::Oif(index) => via = Some(*index),
            _ => {}
        }
    }
    Some(Route { to: IpNet::new(to, message.header.destination_prefix_length).ok()?, via })
}
