// SPDX-License-Identifier: Apache-2.0
//! Periodically compares the kernel's state with ours: other programs flush tables and remove bridges, and a clean-up
//! can be interrupted.

use crate::error::NetworkError;
use crate::netlink::Rtnl;
use crate::state::{State, TableGuard, TableState, blocking};
use crate::take_over::{make, resume};
use crate::{forwarding, names, pod_cidr, services, table};
use std::collections::HashSet;

/// Repairs bridge, table and host ends, and retries what failed. Does nothing before the first pod, nor while another
/// change is in flight. `stale` are the host ends that the last check found without a pod; returns those that this
/// check finds.
///
/// # Errors
/// The error of what could not be recreated; the next check retries.
pub async fn reconcile(state: &State, stale: &HashSet<String>) -> Result<HashSet<String>, NetworkError> {
    pod_cidr::make_way(state);
    let Some(mut guard) = state.table_if_free() else { return Ok(HashSet::new()) };
    if state.known().bridge_failure.is_some() {
        resume(state, &mut guard).await?;
    }
    let (Some(bridge), Some(record)) = ({ state.known().bridge }, { state.known().record.clone() }) else {
        look_after_table(state, &mut guard).await?;
        return Ok(HashSet::new());
    };
    if !state.is_made() {
        tracing::warn!(bridge = record.bridge, "the bridge was removed from outside; recreating it");
        make(state, &mut guard).await?;
        return Ok(HashSet::new());
    }
    look_after_table(state, &mut guard).await?;
    forwarding::look(state).await;
    drop(guard);
    let now = without_pod(state, bridge.index).await?;
    let twice: Vec<String> = now.intersection(stale).cloned().collect();
    blocking(move || twice.iter().try_for_each(|name| remove(name))).await?;
    Ok(now)
}

/// Writes the table when it is missing, when it could not be written, or when addresses of Services came or went. A node
/// that needs none has none.
async fn look_after_table(state: &State, guard: &mut TableGuard<'_>) -> Result<(), NetworkError> {
    let needed = state.with_pods(|pods| pods.need_table()) || state.known().bridge.is_some();
    if !needed {
        return Ok(());
    }
    if **guard == TableState::Unknown {
        // A failure is kept for `degraded`, and a new one is logged once.
        let _ = table::write(state, guard).await;
        return Ok(());
    }
    let name = state.rules().name;
    let wanted = name.clone();
    if !blocking(move || table::exists(&wanted)).await? {
        tracing::warn!(table = name, "the table of host ports was removed from outside; rewriting it");
        return table::write(state, guard).await;
    }
    if services::look(state).await {
        return table::write(state, guard).await;
    }
    Ok(())
}

/// Host ends on our bridge that belong to no pod: being created or removed, or left behind.
async fn without_pod(state: &State, bridge: u32) -> Result<HashSet<String>, NetworkError> {
    let ports = blocking(move || Rtnl::open()?.ports(bridge)).await?;
    let own = state.with_pods(|pods| pods.host_interfaces());
    Ok(ports.into_iter().filter(|name| names::is_host_interface(name) && !own.contains(name)).collect())
}

fn remove(interface: &str) -> Result<(), NetworkError> {
    tracing::warn!(interface, "removing an interface that belongs to no pod");
    Rtnl::open()?.delete_link(interface)
}
