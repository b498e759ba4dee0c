// SPDX-License-Identifier: Apache-2.0
//! What is taken: subnets of networks, and the node's addresses and routes.

use crate::error::Result;
use gorae_network::netlink::Rtnl;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::fmt;

/// Who has a subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// Another network that somebody made.
    Network(String),
    /// The built-in network.
    BuiltIn,
    /// An address of an interface.
    Address(String),
    /// A route of the node, with the interface that it uses.
    Route(Option<String>),
}

/// A subnet that a new one must not overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The subnet.
    pub net: IpNet,
    /// Who has it.
    pub by: Holder,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let net = self.net;
        match &self.by {
            Holder::Network(name) => write!(f, "{net} of network {name}"),
            Holder::BuiltIn => write!(f, "{net} of the built-in network"),
            Holder::Address(interface) => write!(f, "address {net} of interface {interface}"),
            Holder::Route(Some(interface)) => write!(f, "the node's route to {net} through {interface}"),
            Holder::Route(None) => write!(f, "the node's route to {net}"),
        }
    }
}

/// The addresses and routes of the node, except default routes, what is on the interface `except`, and what leads nowhere
/// for others: loopback and link-local. Blocking.
///
/// # Errors
/// [`Error::Node`](crate::Error::Node).
pub fn of_node(rtnl: &mut Rtnl, except: Option<&str>) -> Result<Vec<Taken>> {
    let names: BTreeMap<u32, String> = rtnl.links()?.into_iter().map(|link| (link.index, link.name)).collect();
    let skipped =
        |index: Option<u32>| except.is_some() && index.and_then(|i| names.get(&i).map(String::as_str)) == except;
    let mut taken = Vec::new();
    for (index, net) in rtnl.addresses()? {
        if counts(net) && !skipped(Some(index)) {
            let interface = names.get(&index).cloned().unwrap_or_else(|| index.to_string());
            taken.push(Taken { net, by: Holder::Address(interface) });
        }
    }
    for route in rtnl.routes()? {
        if counts(route.to) && !skipped(route.via) {
            let interface = route.via.and_then(|index| names.get(&index).cloned());
            taken.push(Taken { net: route.to, by: Holder::Route(interface) });
        }
    }
    Ok(taken)
}

fn counts(net: IpNet) -> bool {
    let special = match net {
        IpNet::V4(net) => net.addr().is_loopback() || net.addr().is_multicast() || net.addr().is_broadcast(),
        IpNet::V6(net) => net.addr().is_loopback() || net.addr().is_multicast() || net.addr().is_unicast_link_local(),
    };
    net.prefix_len() > 0 && !special
}
