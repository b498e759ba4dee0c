// SPDX-License-Identifier: Apache-2.0
//! The bridge of a network in the kernel, and its ports. Blocking.
//!
//! Bridges and ports of this daemon have hardware addresses that are made from its table's name and theirs, so that they can
//! be told from those of others, whatever the records say. A bridge's alias names its network, for a record that is damaged.

use crate::error::{Error, Result};
use crate::facts;
use crate::names;
use crate::network::Network;
use crate::subnets::overlap;
use gorae_network::netlink::{Link, Rtnl};
use gorae_network::{pod_mtu, sysctl};
use std::collections::BTreeSet;

/// Ids of networks.
pub type Ids = BTreeSet<String>;

/// Makes whatever is missing of a network's bridge. Returns its index.
///
/// # Errors
/// [`Error::ForeignBridge`] when the name belongs to something else; [`Error::Overlap`] when the node has begun to use the
/// subnet; [`Error::Node`].
pub fn ensure(rtnl: &mut Rtnl, table: &str, network: &Network, mtu: Option<u32>) -> Result<u32> {
    let name = &network.bridge;
    if rtnl.link(name)?.is_none() {
        refuse_overlap(rtnl, network)?;
        let mtu = pod_mtu(rtnl, network.mtu.or(mtu))?;
        rtnl.create_bridge(name, names::hardware(table, name), mtu)?;
    }
    let link = rtnl.link(name)?.filter(|link| link.is_bridge && is_ours(table, link));
    let Some(link) = link else {
        return Err(Error::ForeignBridge { name: name.clone(), network: network.name.clone() });
    };
    // One that an earlier build made has none.
    if link.alias != names::alias(&network.id) {
        rtnl.set_alias(name, link.index, &names::alias(&network.id))?;
    }
    let has = |v4| network.subnet(v4).is_some();
    sysctl::settle_bridge(name, has(false))?;
    for gateway in network.gateways() {
        rtnl.add_address(name, link.index, gateway)?;
    }
    if !link.is_up {
        rtnl.set_up(name, link.index, link.mtu)?;
    }
    if !network.internal && has(true) {
        sysctl::forward_ipv4()?;
    }
    if !network.internal && has(false) {
        sysctl::forward_ipv6()?;
    }
    Ok(link.index)
}

/// Connects host ends to the bridge of their network again.
///
/// - Shapes: `bridge` is its index. A host end that is gone is no failure: its pod is being set up or torn down.
///
/// # Errors
/// [`Error::Node`].
pub fn connect(rtnl: &mut Rtnl, network: &Network, bridge: u32, ports: &[String]) -> Result<()> {
    let lost = rtnl.links()?.into_iter().filter(|end| !end.is_port_of(Some(bridge)) && ports.contains(&end.name));
    for end in lost {
        tracing::warn!(interface = end.name, network = network.name, "connecting a pod to its network again");
        rtnl.plug(&end.name, bridge, network.isolated)?;
    }
    Ok(())
}

/// Whether the bridge exists.
///
/// # Errors
/// [`Error::Node`].
pub fn exists(rtnl: &mut Rtnl, network: &Network) -> Result<bool> {
    Ok(rtnl.link(&network.bridge)?.is_some())
}

/// The node may have got a route or an address in the subnet since the network was made. One to more than the subnet is no
/// matter: the bridge's is preferred.
fn refuse_overlap(rtnl: &mut Rtnl, network: &Network) -> Result<()> {
    let taken = facts::of_node(rtnl, Some(&network.bridge))?;
    for subnet in network.subnets.iter().map(|subnet| subnet.subnet) {
        let clashes = |net: &ipnet::IpNet| overlap(net, &subnet) && net.prefix_len() >= subnet.prefix_len();
        if let Some(taken) = taken.iter().find(|taken| clashes(&taken.net)) {
            return Err(Error::Overlap { subnet, with: format!("{taken}, which came after network {}", network.name) });
        }
    }
    Ok(())
}

/// The names of this daemon's bridges that may belong to networks whose records are damaged, whatever they are called: their
/// alias says so, or says nothing and the bridge is not among `known`.
///
/// # Errors
/// [`Error::Node`].
pub fn of_damaged(rtnl: &mut Rtnl, table: &str, damaged: &Ids, known: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let may_be = |link: &Link| match names::of_alias(&link.alias) {
        Some(id) => damaged.contains(id),
        None => !known.contains(&link.name),
    };
    let ours = rtnl.links()?.into_iter().filter(|link| link.is_bridge && is_ours(table, link) && may_be(link));
    // No other name was ever given to a bridge of ours, and names go into the table's text.
    Ok(ours.map(|link| link.name).filter(|name| names::check_bridge("bridge", name).is_ok()).collect())
}

/// Removes the bridges of this daemon that are not among `bridges` and, if that is given, the host ends that are not among
/// `ports`.
///
/// # Errors
/// The first failure. The others are removed all the same.
pub fn sweep(rtnl: &mut Rtnl, table: &str, bridges: Option<&BTreeSet<String>>, ports: &BTreeSet<String>) -> Result<()> {
    let ours = rtnl.links()?.into_iter().filter(|link| is_ours(table, link));
    let stale = ours.filter(|link| match bridges {
        _ if !link.is_bridge => !ports.contains(&link.name),
        Some(bridges) => !bridges.contains(&link.name),
        None => false,
    });
    delete_all(rtnl, stale.map(|link| link.name).collect())
}

/// Removes interfaces; those that are gone are fine.
///
/// # Errors
/// The first failure. The others are removed all the same.
pub fn delete_all(rtnl: &mut Rtnl, names: Vec<String>) -> Result<()> {
    let mut done = Ok(());
    for name in names {
        done = done.and(rtnl.delete_link(&name).map_err(Error::from));
    }
    done
}

/// Those of the host ends that exist.
///
/// # Errors
/// [`Error::Node`].
pub fn present(rtnl: &mut Rtnl, table: &str) -> Result<BTreeSet<String>> {
    let links = rtnl.links()?.into_iter();
    Ok(links.filter(|link| !link.is_bridge && is_ours(table, link)).map(|link| link.name).collect())
}

fn is_ours(table: &str, link: &Link) -> bool {
    link.hardware == names::hardware(table, &link.name)
}
