// SPDX-License-Identifier: Apache-2.0
//! The start: reads the records, forgets pods that are gone, undoes what was half done, and brings the node's side up to
//! date.

use crate::attach::change;
use crate::bridge;
use crate::config::Config;
use crate::connect::forget;
use crate::error::Result;
use crate::firewalls;
use crate::member::{Phase, Place, Pod};
use crate::settle::settle;
use crate::state::{Known, State, blocking};
use crate::store::{Store, Stored};
use gorae_network::names;
use gorae_network::netlink::Rtnl;
use gorae_shims::Spawner;
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Takes over what the previous daemon left.
///
/// # Errors
/// [`Error::Record`](crate::Error::Record) for a record that cannot be read now, [`Error::Foreign`](crate::Error::Foreign).
pub async fn open(root: PathBuf, spawner: Spawner, config: Config, live: &HashSet<String>) -> Result<State> {
    let table = table(&root);
    let (store, stored) = blocking(move || {
        let store = Store::open(root)?;
        let stored = store.load()?;
        Ok((store, stored))
    })
    .await?;
    let state = State::new(store, spawner, config, table);
    let gone = fill(&mut state.known(), stored, live);
    let present = present(&state).await;
    let half_done = {
        let mut known = state.known();
        known.up = attached(&known, present.as_ref());
        half_done(&known)
    };
    let mut work = state.work().await?;
    for (pod_id, place) in &half_done {
        tracing::info!(pod_id, network = place.network, "undoing a change of a pod's networks that was cut off");
        forget(&state, &mut work, pod_id, place).await?;
    }
    firewalls::begin(&state).await;
    // A failure is kept for `degraded`, and retried. The interfaces of those that are gone go first.
    let _ = settle(&state, &mut work).await;
    drop(work);
    for pod_id in gone {
        state.store.remove_pod(&pod_id).await?;
    }
    mend_routes(&state, &half_done).await;
    Ok(state)
}

/// The table has the name of the built-in network's, and one more word.
fn table(root: &Path) -> String {
    let daemon = root.parent().unwrap_or(root);
    format!("{}-user", names::table(&names::bridge(daemon, 0)))
}

/// Puts what was read into memory; returns the pods that are gone.
fn fill(known: &mut Known, stored: Stored, live: &HashSet<String>) -> Vec<String> {
    let mut gone = Vec::new();
    for network in stored.networks {
        known.networks.insert(network.id.clone(), Arc::new(network));
    }
    for (id, path, why) in stored.damaged {
        tracing::error!(path = %path.display(), why, "the record of a network is damaged");
        known.damaged.insert(id, (path, why));
    }
    for pod in stored.pods {
        if !live.contains(&pod.pod_id) {
            gone.push(pod.pod_id);
            continue;
        }
        for net in pod.places.iter().flat_map(|place| &place.addresses) {
            known.pools.begin_behind(*net, net.addr());
        }
        known.pods.insert(pod.pod_id.clone(), pod);
    }
    for (id, path, why) in stored.damaged_pods {
        if live.contains(&id) {
            tracing::error!(path = %path.display(), why, "the record of a pod's networks is damaged");
            known.damaged_pods.insert(id, (path, why));
        } else {
            gone.push(id);
        }
    }
    gone
}

/// The host ends that exist; `None` if the kernel does not say.
async fn present(state: &State) -> Option<BTreeSet<String>> {
    let table = state.table.clone();
    let found = blocking(move || bridge::present(&mut Rtnl::open()?, &table)).await;
    found.inspect_err(|error| tracing::warn!(%error, "cannot see which pods are attached to networks")).ok()
}

/// The pods that are attached: a bridge that counts as unused is removed, so in doubt all that ever were.
fn attached(known: &Known, present: Option<&BTreeSet<String>>) -> BTreeSet<String> {
    let is = |pod: &Pod| match present {
        Some(present) => pod.places.iter().any(|place| present.contains(&place.host_interface)),
        None => pod.netns.is_some(),
    };
    known.pods.values().filter(|pod| is(pod)).map(|pod| pod.pod_id.clone()).collect()
}

fn half_done(known: &Known) -> Vec<(String, Place)> {
    let all = known.pods.values().flat_map(|pod| pod.places.iter().map(|place| (pod.pod_id.clone(), place.clone())));
    all.filter(|(_, place)| place.phase != Phase::Member).collect()
}

/// The way out may have led through an interface that is gone now.
async fn mend_routes(state: &State, half_done: &[(String, Place)]) {
    let pods: BTreeSet<&String> = half_done.iter().map(|(pod_id, _)| pod_id).collect();
    for pod_id in pods {
        let Some(pod) = state.known().pods.get(pod_id).cloned() else { continue };
        let Some(netns) = pod.netns.as_deref().filter(|_| state.known().up.contains(pod_id)) else { continue };
        if let Err(error) = change(state, &pod, netns, &[], &[]).await {
            tracing::warn!(%error, pod_id, "cannot set the default routes of a pod");
        }
    }
}
