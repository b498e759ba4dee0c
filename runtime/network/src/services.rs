// SPDX-License-Identifier: Apache-2.0
//! The addresses of Services that kube-proxy in IPVS mode gives to an interface of the node: the kernel counts them as its
//! own, but a host port must not take their packets, or a port 443 would take those of the API server.

use crate::netlink::Rtnl;
use crate::state::{State, blocking};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The interface, by the name that kube-proxy has for it.
const INTERFACE: &str = "kube-ipvs0";

/// Looks which there are; returns whether they are others than the table holds. When they cannot be read, they stay.
pub async fn look(state: &State) -> bool {
    let found = match blocking(|| read(&mut Rtnl::open()?)).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, interface = INTERFACE, "cannot read the addresses of Services");
            return false;
        }
    };
    let mut known = state.known();
    let moved = known.services != found;
    known.services = found;
    moved
}

fn read(rtnl: &mut Rtnl) -> Result<BTreeSet<IpAddr>, crate::error::NetworkError> {
    let Some(link) = rtnl.link(INTERFACE)? else { return Ok(BTreeSet::new()) };
    let on_it = rtnl.addresses()?.into_iter().filter(|(index, _)| *index == link.index);
    let not_local = |ip: &IpAddr| !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    Ok(on_it.map(|(_, net)| net.addr()).filter(not_local).collect())
}
