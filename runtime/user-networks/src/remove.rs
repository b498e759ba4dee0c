// SPDX-License-Identifier: Apache-2.0
//! Removes networks that no pod is in.

use crate::error::{Error, Result};
use crate::member::Place;
use crate::network::Network;
use crate::settle::settle;
use crate::state::{State, WorkGuard};
use std::collections::BTreeMap;

/// Removes a network; returns its name.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Ambiguous`], [`Error::InUse`], [`Error::Record`].
pub async fn remove(state: &State, name_or_id: &str) -> Result<String> {
    let mut work = state.work().await?;
    let network = state.known().find(name_or_id)?;
    remove_one(state, &mut work, &network).await?;
    Ok(network.name.clone())
}

/// Removes all that match and have no pods; returns their names.
///
/// # Errors
/// The first failure. The others are removed all the same.
pub async fn prune(state: &State, created_before: i64, labels: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let mut work = state.work().await?;
    let unused: Vec<_> = {
        let known = state.known();
        let unused = known.networks.values().filter(|network| known.places(&network.id).next().is_none());
        unused.filter(|network| matches(network, created_before, labels)).cloned().collect()
    };
    let (mut names, mut failed) = (Vec::new(), None);
    for network in unused {
        match remove_one(state, &mut work, &network).await {
            Ok(()) => names.push(network.name.clone()),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    names.sort();
    failed.map_or(Ok(names), Err)
}

fn matches(network: &Network, created_before: i64, labels: &BTreeMap<String, String>) -> bool {
    let has = |(label, value): (&String, &String)| {
        network.labels.get(label).is_some_and(|found| value.is_empty() || found == value)
    };
    (created_before == 0 || network.created_at < created_before) && labels.iter().all(has)
}

/// The length of an id that people recognise.
const SHORT: usize = 12;

/// A pod by its name, which people know, and its id, by which it can be found for sure.
fn in_words(pod: &str, place: &Place) -> String {
    let short = pod.get(..SHORT).unwrap_or(pod);
    place.names.first().map_or_else(|| pod.to_owned(), |name| format!("{name} ({short})"))
}

async fn remove_one(state: &State, work: &mut WorkGuard<'_>, network: &Network) -> Result<()> {
    let pods: Vec<String> = state.known().places(&network.id).map(|(pod, place)| in_words(pod, place)).collect();
    if !pods.is_empty() {
        return Err(Error::InUse { network: network.name.clone(), pods });
    }
    // They may be in it.
    if let Some((path, why)) = state.known().damaged_pods.values().next().cloned() {
        let why =
            format!("may be that of a pod whose record {} is damaged ({why}); move it away first", path.display());
        return Err(Error::invalid("network", &network.name, why));
    }
    state.store.remove_network(&network.id).await?;
    {
        let mut known = state.known();
        known.networks.remove(&network.id);
        network.subnets.iter().for_each(|subnet| known.pools.forget(subnet.subnet));
    }
    state.notify();
    tracing::info!(network = network.name, id = network.id, "network removed");
    // Without pods it has no bridge, unless one could not be removed. A failure is kept for `degraded`.
    let _ = settle(state, work).await;
    Ok(())
}
