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
use crate::{bridge, firewalls, names, table};
use gorae_network::netlink::Rtnl;
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
    fn of(known: &Known) -> Self {
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
        let lost = known.damaged.keys().map(|id| names::bridge(id));
        let guarded = known.networks.values().filter(|network| !all_known || in_use.contains(&network.id));
        let zones: Vec<Zone> = guarded.map(|network| Zone::of(network)).chain(lost.map(Zone::closed)).collect();
        let bridges = all_known.then(|| zones.iter().map(|zone| zone.bridge.clone()).collect());
        let places = known.pods.values().flat_map(|pod| &pod.places).map(|place| place.host_interface.clone());
        let ids = || known.networks.keys().chain(known.damaged.keys());
        let lost = known.damaged_pods.keys().flat_map(|pod| ids().map(move |id| names::host_interface(pod, id)));
        Self { zones, networks, bridges, ports: places.chain(lost).collect() }
    }
}

/// Makes what is missing and removes what nobody needs. A failure is kept for `degraded`.
///
/// - Shapes: `wanted` are the networks that the caller cannot do without; failures of others are not its business.
///
/// # Errors
/// A failure of the table, or the first one of a wanted network.
pub async fn settle(state: &State, work: &mut WorkGuard<'_>, wanted: &BTreeSet<String>) -> Result<()> {
    let plan = Plan::of(&state.known());
    let swept = sweep(state, plan.bridges, plan.ports).await;
    let mut failures: Vec<String> = swept.as_ref().err().map(ToString::to_string).into_iter().collect();
    let mut first = Ok(());
    let before = work.written.clone();
    match table::write(state, work, &plan.zones).await {
        Ok(()) => {
            if work.written != before {
                firewalls::look(state, work).await;
            }
            for (id, error) in make(state, plan.networks).await {
                failures.push(error.to_string());
                if wanted.contains(&id) {
                    first = first.and(Err(error));
                }
            }
        }
        // Without rules there must be no bridge that is not there yet.
        Err(error) => {
            failures.push(error.to_string());
            first = Err(error);
        }
    }
    note(state, failures);
    first
}

async fn sweep(state: &State, bridges: Option<BTreeSet<String>>, ports: BTreeSet<String>) -> Result<()> {
    let table = state.table.clone();
    blocking(move || bridge::sweep(&mut Rtnl::open()?, &table, bridges.as_ref(), &ports)).await
}

/// Makes the bridges; returns what failed, by the network.
async fn make(state: &State, networks: Vec<(Arc<Network>, Vec<String>)>) -> Vec<(String, Error)> {
    let (table, mtu) = (state.table.clone(), state.config.mtu);
    let ids: Vec<String> = networks.iter().map(|(network, _)| network.id.clone()).collect();
    let done = blocking(move || {
        let mut rtnl = Rtnl::open()?;
        let mut failed = Vec::new();
        for (network, ports) in networks {
            if let Err(error) = bridge::ensure(&mut rtnl, &table, &network, mtu, &ports) {
                failed.push((network.id.clone(), error));
            }
        }
        Ok(failed)
    });
    // No socket: then none of them was made.
    done.await.unwrap_or_else(|error| ids.into_iter().next().map(|id| (id, error)).into_iter().collect())
}

/// Keeps the failures for `degraded`. A new one is logged once.
fn note(state: &State, failures: Vec<String>) {
    let now = (!failures.is_empty()).then(|| failures.join("; "));
    let before = std::mem::replace(&mut state.known().failure, now.clone());
    match (before, now) {
        (before, Some(now)) if before.as_ref() != Some(&now) => {
            tracing::warn!(error = now, "networks are not complete")
        }
        (Some(_), None) => tracing::info!("networks are complete again"),
        _ => {}
    }
}
