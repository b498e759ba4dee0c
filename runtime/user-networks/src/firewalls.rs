// SPDX-License-Identifier: Apache-2.0
//! Firewalls of others that drop what the node forwards: reported, or opened for the networks that are in use.
//!
//! What our own table drops stays dropped: to accept a packet in one table means nothing for another.

use crate::state::{State, WorkGuard};
use ipnet::IpNet;

/// Removes the rules of an earlier start, if no rules are wanted any more.
pub async fn begin(state: &State) {
    let has_networks = !state.known().networks.is_empty();
    if has_networks
        && !state.config.open_forward
        && let Err(error) = gorae_network::withdraw(&state.table).await
    {
        tracing::warn!(%error, "cannot remove the rules of network.open_forward for networks");
    }
}

/// Looks for firewalls in the way, and opens them if that is configured. A failure here never fails a pod.
pub async fn look(state: &State, _work: &mut WorkGuard<'_>) {
    let subnets: Vec<IpNet> = {
        let known = state.known();
        let in_use = known.in_use();
        let networks = known.networks.values().filter(|network| in_use.contains(&network.id));
        networks.flat_map(|network| network.subnets.iter().map(|subnet| subnet.subnet)).collect()
    };
    if subnets.is_empty() && !state.config.open_forward {
        state.known().blocked = None;
        return;
    }
    let message = match gorae_network::let_through(&state.table, &subnets, state.config.open_forward).await {
        Ok(message) => message,
        Err(error) => return tracing::warn!(%error, "cannot see whether a firewall drops the traffic of networks"),
    };
    let before = std::mem::replace(&mut state.known().blocked, message.clone());
    if let Some(message) = message.filter(|now| before.as_ref() != Some(now)) {
        tracing::warn!("{message}");
    }
}
