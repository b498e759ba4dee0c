// SPDX-License-Identifier: Apache-2.0
//! Brings the node's side to what the facts say. It can be repeated, and changes nothing where all is well.
//!
//! ```text
//! remove what nobody needs ─► table ─► bridges, ports
//! ```
//! So a bridge never exists without its rules.

use crate::error::{Error, Result};
use crate::network::Network;
use crate::rules::Zone;
use crate::state::{Known, State, WorkGuard, blocking};
use crate::subnets::overlap;
use crate::{bridge, firewalls, names, table};
use gorae_network::netlink::Rtnl;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What should be there.
struct Plan {
    zones: Vec<Zone>,
    /// Networks with attached pods, and the host ends of these.
    networks: Vec<(Arc<Network>, Vec<String>)>,
    /// Bridges that must stay; `None` when that is not known.
    bridges: Option<BTreeSet<String>>,
    /// Host ends that must stay.
    ports: BTreeSet<String>,
}

impl Plan {
    /// `lost` are the bridges of networks whose records are damaged, as far as the kernel has them.
    fn of(known: &Known, lost: BTreeSet<String>) -> Self {
        let in_use = known.in_use();
        let all_known = known.damaged_pods.is_empty();
        let networks: Vec<(Arc<Network>, Vec<String>)> = known
            .networks
            .values()
            .filter(|network| in_use.contains(&network.id))
            .map(|network| {
                let attached = known.places(&network.id).filter(|(pod, _)| known.up.contains(*pod));
                (network.clone(), attached.map(|(_, place)| place.host_interface.clone()).collect())
            })
            .collect();
        let lost: BTreeSet<String> = lost.into_iter().chain(known.damaged.keys().map(|id| names::bridge(id))).collect();
        let guarded = known.networks.values().filter(|network| !all_known || in_use.contains(&network.id));
        let zones: Vec<Zone> =
            guarded.map(|network| Zone::of(network)).chain(lost.into_iter().map(Zone::closed)).collect();
        let bridges = all_known.then(|| zones.iter().map(|zone| zone.bridge.clone()).collect());
        let places = known.pods.values().flat_map(|pod| &pod.places).map(|place| place.host_interface.clone());
        let ids = || known.networks.keys().chain(known.damaged.keys());
        let lost = known.damaged_pods.keys().flat_map(|pod| ids().map(move |id| names::host_interface(pod, id)));
        Self { zones, networks, bridges, ports: places.chain(lost).collect() }
    }
}

/// Makes what is missing and removes what nobody needs, for all networks. A failure is kept for `degraded`.
///
/// # Errors
/// The first failure.
pub async fn settle(state: &State, work: &mut WorkGuard<'_>) -> Result<()> {
    let lost = match lost(state).await {
        Ok(lost) => lost,
        // What is not known to be nobody's must stay, and so must its rules.
        Err(error) => {
            note(state, std::slice::from_ref(&error));
            return Err(error);
        }
    };
    let plan = Plan::of(&state.known(), lost);
    let mut failures: Vec<Error> = sweep(state, plan.bridges, plan.ports).await.err().into_iter().collect();
    match write(state, work, &plan.zones).await {
        Ok(()) => failures.extend(make(state, plan.networks, Look::Ports).await),
        // Without rules there must be no bridge that is not there yet.
        Err(error) => failures.push(error),
    }
    note(state, &failures);
    failures.into_iter().next().map_or(Ok(()), Err)
}

/// Makes what some networks need before one more pod is attached to them.
///
/// # Errors
/// A failure of the table, or of one of these networks.
pub async fn provide(state: &State, work: &mut WorkGuard<'_>, wanted: &BTreeSet<String>) -> Result<()> {
    let lost = lost(state).await?;
    let mut plan = Plan::of(&state.known(), lost);
    write(state, work, &plan.zones).await?;
    plan.networks.retain(|(network, _)| wanted.contains(&network.id));
    plan.networks.iter().try_for_each(|(network, _)| refuse_avoided(&state.config.avoided(), network))?;
    make(state, plan.networks, Look::Bridges).await.into_iter().next().map_or(Ok(()), Err)
}

/// The bridges of networks whose records are damaged. Only such a record makes the kernel be asked.
async fn lost(state: &State) -> Result<BTreeSet<String>> {
    let (damaged, known): (bridge::Ids, BTreeSet<String>) = {
        let known = state.known();
        let bridges = known.networks.values().map(|network| network.bridge.clone());
        (known.damaged.keys().cloned().collect(), bridges.collect())
    };
    if damaged.is_empty() {
        return Ok(BTreeSet::new());
    }
    let table = state.table.clone();
    blocking(move || bridge::of_damaged(&mut Rtnl::open()?, &table, &damaged, &known)).await
}

/// What is to be avoided may have been decided on after the network was made. It need not be on the node yet.
fn refuse_avoided(avoided: &[IpNet], network: &Network) -> Result<()> {
    for subnet in network.subnets.iter().map(|subnet| subnet.subnet) {
        if let Some(other) = avoided.iter().find(|other| overlap(other, &subnet)) {
            let with = format!("{other}, which pods in the node's own network have; make {} again", network.name);
            return Err(Error::Overlap { subnet, with });
        }
    }
    Ok(())
}

/// Writes the table. Another table means other subnets, which firewalls of others may drop.
async fn write(state: &State, work: &mut WorkGuard<'_>, zones: &[Zone]) -> Result<()> {
    let before = work.written.clone();
    table::write(state, work, zones).await?;
    if work.written != before {
        firewalls::look(state, work).await;
    }
    Ok(())
}

async fn sweep(state: &State, bridges: Option<BTreeSet<String>>, ports: BTreeSet<String>) -> Result<()> {
    let table = state.table.clone();
    blocking(move || bridge::sweep(&mut Rtnl::open()?, &table, bridges.as_ref(), &ports)).await
}

/// What is looked at of a network that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Only the bridge, unless it has to be made.
    Bridges,
    /// Also its ports.
    Ports,
}

/// Makes the bridges, and connects their ports; returns what failed.
async fn make(state: &State, networks: Vec<(Arc<Network>, Vec<String>)>, look: Look) -> Vec<Error> {
    if networks.is_empty() {
        return Vec::new();
    }
    let (table, mtu) = (state.table.clone(), state.config.mtu);
    let done = blocking(move || {
        let mut rtnl = Rtnl::open()?;
        let all = networks.iter().map(|(network, ports)| make_one(&mut rtnl, &table, network, mtu, ports, look));
        Ok(all.filter_map(Result::err).collect())
    });
    done.await.unwrap_or_else(|error| vec![error])
}

fn make_one(
    rtnl: &mut Rtnl,
    table: &str,
    network: &Network,
    mtu: Option<u32>,
    ports: &[String],
    look: Look,
) -> Result<()> {
    let look = if bridge::exists(rtnl, network)? { look } else { Look::Ports };
    let index = bridge::ensure(rtnl, table, network, mtu)?;
    if look == Look::Ports { bridge::connect(rtnl, network, index, ports) } else { Ok(()) }
}

/// Keeps the failures for `degraded`. A new one is logged once.
fn note(state: &State, failures: &[Error]) {
    let texts: Vec<String> = failures.iter().map(ToString::to_string).collect();
    let now = (!texts.is_empty()).then(|| texts.join("; "));
    let before = std::mem::replace(&mut state.known().failure, now.clone());
    match (before, now) {
        (before, Some(now)) if before.as_ref() != Some(&now) => {
            tracing::warn!(error = now, "networks are not complete")
        }
        (Some(_), None) => tracing::info!("networks are complete again"),
        _ => {}
    }
}
