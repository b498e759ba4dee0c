// SPDX-License-Identifier: Apache-2.0
//! The addresses of Services that kube-proxy in IPVS mode gives to an interface of the node: the kernel counts them as its
//! own, but a host port must not take their packets, or a port 443 would take those of the API server.

use crate::error::NetworkError;
use crate::netlink::{AddressNotices, Rtnl};
use crate::state::{State, blocking};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The interface, by the name that kube-proxy has for it.
const INTERFACE: &str = "kube-ipvs0";

/// How long to wait after a notice for more: kube-proxy adds addresses by the hundred.
const PAUSE: Duration = Duration::from_millis(100);
/// How long to wait after a failure of the kernel's notices.
const RETRY: Duration = Duration::from_secs(10);

/// Follows the addresses as long as the state lives and its runtime runs, and has `write` put what changed into the table.
pub async fn follow<F: Future<Output = ()>>(state: Weak<State>, write: impl Fn(Arc<State>) -> F) {
    loop {
        let Err(error) = hear(&state, &write).await else { return };
        tracing::warn!(%error, "cannot follow the addresses of Services; looking at them now and then");
        tokio::time::sleep(RETRY).await;
    }
}

async fn hear<F: Future<Output = ()>>(state: &Weak<State>, write: &impl Fn(Arc<State>) -> F) -> std::io::Result<()> {
    let notices = AddressNotices::open()?;
    loop {
        notices.changed().await?;
        tokio::time::sleep(PAUSE).await;
        let Some(state) = state.upgrade() else { return Ok(()) };
        if state.has_interface(INTERFACE) || !state.known().services.is_empty() {
            write(state).await;
        }
    }
}

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

/// An address that another interface has too is the node's own: a Service may have it as an external address, and host
/// ports stay on it.
fn read(rtnl: &mut Rtnl) -> Result<BTreeSet<IpAddr>, NetworkError> {
    let Some(link) = rtnl.link(INTERFACE)? else { return Ok(BTreeSet::new()) };
    let (on_it, elsewhere): (Vec<_>, Vec<_>) =
        rtnl.addresses()?.into_iter().partition(|(index, _)| *index == link.index);
    let nodes: BTreeSet<IpAddr> = elsewhere.into_iter().map(|(_, net)| net.addr()).collect();
    let not_local = |ip: &IpAddr| !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    Ok(on_it.into_iter().map(|(_, net)| net.addr()).filter(not_local).filter(|ip| !nodes.contains(ip)).collect())
}
