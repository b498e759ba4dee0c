// SPDX-License-Identifier: Apache-2.0
//! The start: finds the network of the previous daemon, and the pods that live in it. A failure shows in `status` and
//! is retried; until then no pod gets an address, because it could belong to another pod.

use crate::error::NetworkError;
use crate::making::make_bridge;
use crate::netlink::Rtnl;
use crate::pods::LivePod;
use crate::record::{Origin, Record};
use crate::state::{Failure, State, TableGuard, TableState, blocking};
use crate::subnets::{Family, Subnets};
use crate::{forwarding, names, table};
use ipnet::IpNet;

/// Takes over live pods and repairs bridge and table. Without pods it only cleans up after a killed daemon; a clean
/// node stays untouched. A failure is kept for `status`, and retried.
pub async fn take_over(state: &State, live: &[LivePod]) {
    let (in_pool, elsewhere): (Vec<LivePod>, Vec<LivePod>) = live.iter().cloned().partition(|pod| pod.from_pool);
    {
        let mut known = state.known();
        known.adopt(&elsewhere);
        known.owed = Some(in_pool);
    }
    let done = match state.table().await {
        Ok(mut table) => {
            if !state.config.open_forward {
                // It may have been on before this start.
                forwarding::close(state).await;
            }
            let resumed = resume(state, &mut table).await;
            // A failure is kept for `degraded`, and retried.
            let _ = table::settle(state, &mut table).await;
            resumed
        }
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        tracing::error!(%error, "cannot take over the network; it will be retried");
    }
}

/// Continues an unfinished start or retry.
///
/// # Errors
/// Those of [`catch_up`] and [`make`], which `status` reports.
pub async fn resume(state: &State, table: &mut TableGuard<'_>) -> Result<(), NetworkError> {
    match catch_up(state).await {
        Ok(true) => make(state, table).await,
        Ok(false) => Ok(()),
        Err(error) => {
            state.known().bridge_failure = Some(Failure::new(&error));
            Err(error)
        }
    }
}

/// Creates the bridge, then writes the table if that is due.
///
/// # Errors
/// A failure of the bridge, which `status` reports. A failure of the table is kept for `degraded` and is not an error.
pub async fn make(state: &State, table: &mut TableGuard<'_>) -> Result<(), NetworkError> {
    let before = state.known().bridge;
    let made = match catch_up(state).await {
        Ok(_) => make_bridge(state).await,
        Err(error) => Err(error),
    };
    state.known().bridge_failure = made.as_ref().err().map(Failure::new);
    made?;
    if **table == TableState::Unknown || state.known().bridge != before {
        // Kept for `degraded`; a pod without host ports need not fail because of it.
        let _ = table::write(state, table).await;
    }
    forwarding::look(state).await;
    Ok(())
}

/// Does the pending work of a start, once: finds the subnet in which earlier pods live, and reserves their addresses
/// and ports. The caller holds the table lock. False when there was nothing to do: no pod, and no bridge.
///
/// # Errors
/// [`NetworkError::Netlink`], [`NetworkError::SubnetTooSmall`]; those of [`make_bridge`].
pub async fn catch_up(state: &State) -> Result<bool, NetworkError> {
    let Some(none) = state.known().owed.as_ref().map(Vec::is_empty) else { return Ok(true) };
    let found = find_earlier(state).await?;
    if none && !found {
        let mut known = state.known();
        (known.owed, known.bridge_failure) = (None, None);
        return Ok(false);
    }
    let record = state.known().record.clone();
    match record {
        Some(record) => {
            state.use_subnet(&record)?;
            state.known().adopt_owed();
        }
        None => make_bridge(state).await?,
    }
    Ok(true)
}

/// Looks for the bridge of an earlier daemon. If the record is lost, the bridge holds the same facts.
async fn find_earlier(state: &State) -> Result<bool, NetworkError> {
    let record = state.known().record.clone();
    let derived = || state.config.bridge.clone().unwrap_or_else(|| names::bridge(&state.root, 0));
    let name = record.as_ref().map_or_else(derived, |record| record.bridge.clone());
    let (found, on_bridge) = blocking(move || read_bridge(name)).await?;
    if record.is_none() {
        state.known().record = on_bridge;
    }
    Ok(found)
}

/// Looks for a bridge of this name, and derives a record from its addresses.
fn read_bridge(name: String) -> Result<(bool, Option<Record>), NetworkError> {
    let mut rtnl = Rtnl::open()?;
    let Some(link) = rtnl.link(&name)?.filter(|link| link.is_bridge) else { return Ok((false, None)) };
    let nets: Vec<IpNet> = rtnl.addresses()?.into_iter().filter(|(i, _)| *i == link.index).map(|(_, n)| n).collect();
    let v4 = nets.iter().find_map(|net| if let IpNet::V4(net) = net { Some(net.trunc()) } else { None });
    let v6 = nets.iter().find_map(|net| match net {
        IpNet::V6(net) if !net.addr().is_unicast_link_local() => Some(net.trunc()),
        _ => None,
    });
    let origin = Origin::Chosen;
    let table = names::table(&name);
    // Which family was first is not known any more.
    let subnets = Subnets::new(v4, v6, Family::V4);
    let any = v4.is_some() || v6.is_some();
    Ok((true, any.then_some(Record { table, bridge: name, subnets, origin, wanted: None })))
}
