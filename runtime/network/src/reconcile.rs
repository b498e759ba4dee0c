// SPDX-License-Identifier: Apache-2.0
//! Periodically compares the kernel's state with ours: other programs flush tables and remove bridges, and a clean-up
//! can be interrupted.

use crate::bridge::pod_mtu;
use crate::error::NetworkError;
use crate::host_ends::host_ends;
use crate::netlink::Rtnl;
use crate::restore::restore;
use crate::state::{State, TableGuard, TableState, blocking};
use crate::take_over::{make, resume};
use crate::{forwarding, loopback, pod_cidr, services, table};
use std::collections::HashSet;

/// Repairs bridge, table, host ends and the ways to pods, and retries what failed. Does nothing before the first pod, nor while another
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
    // A failure does not keep the rest from being repaired.
    let restored = restore(state, bridge, &record).await;
    if matches!(restored, Ok(true)) {
        // The rules of host ports depend on the ways to the pods.
        *guard = TableState::Unknown;
    }
    look_after_table(state, &mut guard).await?;
    forwarding::look(state).await;
    drop(guard);
    follow_mtu(state).await?;
    let now = without_pod(state, bridge.index, record.bridge).await?;
    let twice: Vec<String> = now.intersection(stale).cloned().collect();
    blocking(move || twice.iter().try_for_each(|name| remove(name))).await?;
    restored.map(|_| now)
}

/// Writes the table when it is missing, when it could not be written, or when addresses of Services came or went. A node
/// that needs none has none.
async fn look_after_table(state: &State, guard: &mut TableGuard<'_>) -> Result<(), NetworkError> {
    let needed = state.with_pods(|pods| pods.need_table()) || state.known().bridge.is_some();
    if !needed {
        if state.known().loopback_failure.is_some() {
            // No host port needs it any more, and it could not be switched off.
            loopback::follow(state).await;
        }
        return Ok(());
    }
    if **guard == TableState::Unknown {
        // A failure is kept for `degraded`, and a new one is logged once.
        let _ = table::write(state, guard).await;
        return Ok(());
    }
    let name = state.rules().name;
    let wanted = name.clone();
    if !blocking(move || table::is_whole(&wanted)).await? {
        tracing::warn!(table = name, "the table of host ports was removed or flushed from outside; rewriting it");
        return table::write(state, guard).await;
    }
    if services::look(state).await {
        return table::write(state, guard).await;
    }
    if state.known().loopback_failure.is_some() {
        loopback::follow(state).await;
    }
    Ok(())
}

/// Lets new pods have the MTU of the way out, which may have changed.
async fn follow_mtu(state: &State) -> Result<(), NetworkError> {
    let configured = state.config.mtu;
    let mtu = blocking(move || pod_mtu(&mut Rtnl::open()?, configured)).await?;
    if let Some(bridge) = state.known().bridge.as_mut().filter(|bridge| bridge.mtu != mtu) {
        tracing::info!(before = bridge.mtu, mtu, "the MTU of the way out changed; new pods have it");
        bridge.mtu = mtu;
    }
    Ok(())
}

/// Host ends of ours that belong to no pod: being created or removed, or left behind.
async fn without_pod(state: &State, bridge: u32, name: String) -> Result<HashSet<String>, NetworkError> {
    let links = blocking(move || host_ends(&mut Rtnl::open()?, &name, Some(bridge))).await?;
    let own = state.with_pods(|pods| pods.host_interfaces());
    Ok(links.into_iter().map(|link| link.name).filter(|name| !own.contains(name)).collect())
}

fn remove(interface: &str) -> Result<(), NetworkError> {
    tracing::warn!(interface, "removing an interface that belongs to no pod");
    Rtnl::open()?.delete_link(interface)
}
