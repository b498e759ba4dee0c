// SPDX-License-Identifier: Apache-2.0
//! Periodically compares the node's side with the facts: other programs flush tables and remove interfaces.

use crate::error::Result;
use crate::settle::settle;
use crate::state::{Known, State, WorkGuard, blocking};
use crate::{bridge, firewalls, table};
use gorae_network::netlink::Rtnl;

/// Makes what others removed, and removes what belongs to nobody.
///
/// # Errors
/// The first failure, which [`degraded`] reports, too.
pub async fn reconcile(state: &State) -> Result<()> {
    let mut work = state.work().await?;
    if is_unused(state, &work) {
        return Ok(());
    }
    see_who_is_up(state).await?;
    table::look(state, &mut work).await?;
    settle(state, &mut work).await?;
    firewalls::look(state, &mut work).await;
    Ok(())
}

/// A node on which nobody has made a network has nothing to look at.
fn is_unused(state: &State, work: &WorkGuard<'_>) -> bool {
    let known = state.known();
    let nothing = known.networks.is_empty() && known.damaged.is_empty() && known.damaged_pods.is_empty();
    nothing && known.failure.is_none() && work.written.as_deref() == Some("")
}

/// A pod whose interfaces exist is attached, also if that could not be seen at the start.
async fn see_who_is_up(state: &State) -> Result<()> {
    let table = state.table.clone();
    let present = blocking(move || bridge::present(&mut Rtnl::open()?, &table)).await?;
    let mut known = state.known();
    let Known { pods, up, .. } = &mut *known;
    let attached = pods.values().filter(|pod| pod.places.iter().any(|place| present.contains(&place.host_interface)));
    up.extend(attached.map(|pod| pod.pod_id.clone()));
    Ok(())
}

/// What is wrong, for people.
pub fn degraded(state: &State) -> Option<String> {
    let known = state.known();
    let network = |(id, (path, why)): (&String, &(std::path::PathBuf, String))| {
        format!(
            "network {id} cannot be used, and none can be made: its record {} is damaged ({why}); its containers keep \
             what they have. Stop them, move the record away and restart goraed to give the network up",
            path.display()
        )
    };
    let pod = |(id, (path, why)): (&String, &(std::path::PathBuf, String))| {
        let path = path.display();
        format!(
            "the networks of pod {id} are not known, and its addresses may be given again: {path} is damaged ({why})"
        )
    };
    let mut all: Vec<String> = known.damaged.iter().map(network).chain(known.damaged_pods.iter().map(pod)).collect();
    all.extend(known.failure.iter().chain(&known.blocked).cloned());
    (!all.is_empty()).then(|| all.join("; "))
}
