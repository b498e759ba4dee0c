// SPDX-License-Identifier: Apache-2.0
//! The host ends of this daemon's pods: found among the node's interfaces, and connected again after something was removed
//! under them: the gateway's interface, one of its addresses, or what leads to a pod.
//!
//! A host end has the hardware address of our bridge: two daemons can tell theirs apart. That of a pod of an earlier
//! daemon is a port of the bridge instead. Both kinds live side by side: the node routes from one to the other, and
//! answers on the bridge for the pods that are not on it.

use crate::error::NetworkError;
use crate::names;
use crate::netlink::{Link, Rtnl};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr};

/// fe80::1, the address of every host end of a pod with IPv6.
pub const HOST_END: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

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

/// Connects the host ends of live pods to the bridge. When its address goes, the kernel drops every IPv4 route whose source
/// that was, so this is done whenever it may have gone, and changes nothing where all is well. Returns whether some pods
/// are ports. A failure is reported, and the next look at the node finds what is missing.
pub fn connect_again(rtnl: &mut Rtnl, homes: &[Home], name: &str, bridge: u32, gateways: &[IpAddr]) -> bool {
    let (mut ports, mut routed, mut failures) = (false, Vec::new(), Vec::new());
    for home in homes {
        match connect(rtnl, home, name, bridge, gateways) {
            Ok(Some(Kind::Port)) => ports = true,
            Ok(Some(Kind::Routed)) => routed.extend(&home.ips),
            Ok(None) => {}
            Err(error) if error.is_gone() => {}
            Err(error) => failures.push(error),
        }
    }
    for ip in routed.into_iter().filter_map(|ip| if let IpAddr::V6(ip) = ip { Some(ip) } else { None }) {
        failures.extend(ports.then(|| rtnl.answer_for(bridge, ip)).and_then(Result::err));
    }
    if let Some(error) = failures.first() {
        let failures = failures.len();
        tracing::warn!(%error, failures, "cannot connect pods to the node again; the next look at the node tries it again");
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
    // The shim is not done with it, or somebody wants it to be down.
    if !link.is_up {
        return Ok(None);
    }
    lead_to(rtnl, &link, &home.ips, gateways)?;
    Ok(Some(Kind::Routed))
}

/// Does what the shim did when it set the pod up: the host end's address, and the node's way to the pod's.
fn lead_to(rtnl: &mut Rtnl, link: &Link, ips: &[IpAddr], gateways: &[IpAddr]) -> Result<(), NetworkError> {
    for ip in ips {
        let Some(source) = gateways.iter().find(|gateway| gateway.is_ipv4() == ip.is_ipv4()) else { continue };
        if ip.is_ipv6() {
            rtnl.add_address(&link.name, link.index, IpNet::from(IpAddr::from(HOST_END)))?;
        }
        rtnl.route_to_pod(link.index, *ip, *source)?;
        let hardware = ips.first().map(|first| names::pod_hardware_address(*first));
        hardware.map_or(Ok(()), |hardware| rtnl.know_neighbour(link.index, *ip, hardware))?;
    }
    Ok(())
}

/// Whether the host end is that of a pod to which the network with the bridge `name` routes.
pub fn is_routed(link: &Link, name: &str) -> bool {
    link.hardware == names::hardware_address(name)
}
