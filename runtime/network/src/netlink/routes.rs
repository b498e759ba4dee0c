// SPDX-License-Identifier: Apache-2.0
//! Routes.

use super::socket::Rtnl;
use crate::error::NetworkError;
use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The properties of a route that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its destination; prefix length 0 is the default route.
    pub to: IpNet,
    /// Index of the interface it uses.
    pub via: Option<u32>,
    /// The address of the node from which it sends.
    pub source: Option<IpAddr>,
    /// Whether it is in the main table.
    pub is_main: bool,
    /// Of two routes to the same destination, the one with the lower metric counts.
    pub metric: u32,
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

    /// Routes a pod's address to its host end, as the shim does when it sets the pod up. `source` is the address from
    /// which the node talks to the pod.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`] when the kernel refuses, with `EINVAL` if the node does not have `source`.
    pub fn route_to_pod(&mut self, index: u32, to: IpAddr, source: IpAddr) -> Result<(), NetworkError> {
        let mut request = RouteMessage::default();
        request.header = RouteHeader {
            address_family: if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 },
            destination_prefix_length: IpNet::from(to).prefix_len(),
            table: RouteHeader::RT_TABLE_MAIN,
            protocol: RouteProtocol::Boot,
            scope: if to.is_ipv4() { RouteScope::Link } else { RouteScope::Universe },
            kind: RouteType::Unicast,
            ..RouteHeader::default()
        };
        request.attributes = vec![
            RouteAttribute::Oif(index),
            RouteAttribute::Destination(route_address(to)),
            RouteAttribute::PrefSource(route_address(source)),
        ];
        let flags = NLM_F_CREATE | NLM_F_REPLACE;
        self.acked("add route", &format!("to {to} from {source}"), Message::NewRoute(request), flags)
    }
}

fn route_address(ip: IpAddr) -> RouteAddress {
    match ip {
        IpAddr::V4(ip) => RouteAddress::Inet(ip),
        IpAddr::V6(ip) => RouteAddress::Inet6(ip),
    }
}

fn route(message: &RouteMessage) -> Option<Route> {
    let mut to: IpAddr = match message.header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let (mut via, mut source, mut metric) = (None, None, 0);
    let mut table = u32::from(message.header.table);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(ip)) => to = (*ip).into(),
            RouteAttribute::Destination(RouteAddress::Inet6(ip)) => to = (*ip).into(),
            RouteAttribute::Oif(index) => via = Some(*index),
            RouteAttribute::PrefSource(RouteAddress::Inet(ip)) => source = Some((*ip).into()),
            RouteAttribute::PrefSource(RouteAddress::Inet6(ip)) => source = Some((*ip).into()),
            RouteAttribute::Priority(priority) => metric = *priority,
            RouteAttribute::Table(id) => table = *id,
            _ => {}
        }
    }
    let to = IpNet::new(to, message.header.destination_prefix_length).ok()?;
    Some(Route { to, via, source, is_main: table == u32::from(RouteHeader::RT_TABLE_MAIN), metric })
}
