// SPDX-License-Identifier: Apache-2.0
//! The host ends of this daemon's pods: found among the node's interfaces, and connected again after the gateway's
//! interface was removed under them.
//!
//! A host end has the hardware address of our bridge: two daemons can tell theirs apart. That of a pod of an earlier
//! daemon is a port of the bridge instead. Both kinds live side by side: the node routes from one to the other, and
//! answers on the bridge for the pods that are not on it.

use crate::error::NetworkError;
use crate::names;
use crate::netlink::{Link, Rtnl};
use std::net::IpAddr;

/// A pod's host end, as the pod's reservation knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Name of the host end.
    pub interface: String,
    /// The pod's addresses.
    pub ips: Vec<IpAddr>,
}

/// Lists the host ends of the network with the bridge `name`, which has index `bridge` if it exists.
///
/// # Errors
/// [`NetworkError::Netlink`].
pub fn host_ends(rtnl: &mut Rtnl, name: &str, bridge: Option<u32>) -> Result<Vec<Link>, NetworkError> {
    let mut links = rtnl.links()?;
    links.retain(|link| names::is_host_interface(&link.name) && (is_routed(link, name) || link.is_port_of(bridge)));
    Ok(links)
}

/// Connects the host ends of live pods to a new bridge, after the old one was removed under them: the kernel then
/// removed the routes to the pods too, because their source was one of its addresses. Returns whether some are ports.
pub fn connect_again(rtnl: &mut Rtnl, homes: &[Home], name: &str, bridge: u32, gateways: &[IpAddr]) -> bool {
    let (mut ports, mut routed) = (false, Vec::new());
    for home in homes {
        match connect(rtnl, home, name, bridge, gateways) {
            Ok(Some(Kind::Port)) => ports = true,
            Ok(Some(Kind::Routed)) => routed.extend(&home.ips),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "cannot connect the interface of a pod again"),
        }
    }
    for ip in routed.into_iter().filter_map(|ip| if let IpAddr::V6(ip) = ip { Some(ip) } else { None }) {
        if let Some(Err(error)) = ports.then(|| rtnl.answer_for(bridge, ip)) {
            tracing::debug!(%error, "pods on the bridge cannot reach one that is not");
        }
    }
    ports
}

/// How a host end is connected.
enum Kind {
    /// As a port of the bridge.
    Port,
    /// By routes.
    Routed,
}

/// `None` when the host end is gone.
fn connect(
    rtnl: &mut Rtnl,
    home: &Home,
    name: &str,
    bridge: u32,
    gateways: &[IpAddr],
) -> Result<Option<Kind>, NetworkError> {
    let Some(link) = rtnl.link(&home.interface)? else { return Ok(None) };
    if !is_routed(&link, name) {
        return rtnl.make_port(&home.interface, bridge).map(|()| Some(Kind::Port));
    }
    for ip in &home.ips {
        let source = gateways.iter().find(|gateway| gateway.is_ipv4() == ip.is_ipv4());
        source.map_or(Ok(()), |source| rtnl.route_to_pod(link.index, *ip, *source))?;
    }
    Ok(Some(Kind::Routed))
}

fn is_routed(link: &Link, name: &str) -> bool {
    link.hardware == names::hardware_address(name)
}
