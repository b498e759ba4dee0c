// SPDX-License-Identifier: Apache-2.0
//! Gives a pod one more network, and takes one away, also while it is up.
//!
//! What is being changed is recorded as such first. After a daemon that was killed meanwhile, the next one takes the place
//! away ([`crate::start`]): a caller whose call did not end finds the pod without the network.

use crate::attach::{change, prepare, unplug};
use crate::choose::choose;
use crate::error::{Error, Result};
use crate::member::{Besides, Membership, Phase, Place, Pod};
use crate::names;
use crate::settle::settle;
use crate::state::{State, WorkGuard};
use crate::wish::Wish;
use std::path::Path;

/// Gives a pod a place in one more network.
///
/// # Errors
/// Those of [`choose`], [`prepare`] and [`change`]. Then the pod has no such place.
pub async fn connect(
    state: &State,
    pod_id: &str,
    netns: Option<&Path>,
    wish: &Wish,
    names: &[String],
    besides: Besides,
) -> Result<Membership> {
    let names = names::own(names)?;
    let phase = if netns.is_some() { Phase::Joining } else { Phase::Member };
    let none = Pod { pod_id: pod_id.to_owned(), netns: None, besides, places: Vec::new() };
    let place = record(state, none, wish, &names, phase).await?;
    let Some(netns) = netns else {
        state.notify();
        return Ok(place.membership());
    };
    let done = match join(state, pod_id, netns, &place).await {
        Ok(()) => mark(state, pod_id, &place, Phase::Member).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => {
            state.notify();
            Ok(place.membership())
        }
        Err(error) => {
            // The first failure is the one to report. If the record stays, the next start undoes it.
            let undone = match take_away(state, pod_id, &place).await {
                Ok(()) => put_routes_back(state, pod_id, netns).await,
                failed => failed,
            };
            if let Err(second) = undone {
                tracing::warn!(error = %second, pod_id, "cannot undo the connection of a pod to a network");
            }
            Err(error)
        }
    }
}

/// Leads the default routes into the networks that the pod still has.
async fn put_routes_back(state: &State, pod_id: &str, netns: &Path) -> Result<()> {
    let pod = state.known().pods.get(pod_id).cloned();
    match pod {
        Some(pod) => change(state, &pod, netns, &[], &[]).await,
        None => Ok(()),
    }
}

/// Chooses a place and records it.
async fn record(state: &State, none: Pod, wish: &Wish, names: &[String], phase: Phase) -> Result<Place> {
    let _work = state.work().await?;
    let (pod, place) = {
        let mut known = state.known();
        let network = known.find(&wish.network)?;
        let mut pod = known.pods.get(&none.pod_id).cloned().unwrap_or(none);
        let place = Place { phase, ..choose(&known, &pod, &network, wish, names)? };
        known.take(&place);
        pod.places.push(place.clone());
        pod.places.sort_by_key(|place| number(&place.interface));
        (pod, place)
    };
    state.store.write_pod(&pod).await?;
    state.known().pods.insert(pod.pod_id.clone(), pod);
    Ok(place)
}

/// The number in `eth12`.
fn number(interface: &str) -> u32 {
    interface.trim_start_matches("eth").parse().unwrap_or(u32::MAX)
}

async fn join(state: &State, pod_id: &str, netns: &Path, place: &Place) -> Result<()> {
    let pod = own(state, pod_id, place)?;
    prepare(state, &pod, netns).await?;
    change(state, &pod, netns, std::slice::from_ref(place), &[]).await
}

fn own(state: &State, pod_id: &str, place: &Place) -> Result<Pod> {
    let pod = state.known().pods.get(pod_id).cloned();
    pod.ok_or_else(|| Error::NotMember { pod_id: pod_id.to_owned(), network: place.network.clone() })
}

/// Records how far a place is.
async fn mark(state: &State, pod_id: &str, place: &Place, phase: Phase) -> Result<()> {
    let _work = state.work().await?;
    let mut pod = own(state, pod_id, place)?;
    pod.places.iter_mut().filter(|other| other.wish.network == place.wish.network).for_each(|p| p.phase = phase);
    state.store.write_pod(&pod).await?;
    state.known().pods.insert(pod_id.to_owned(), pod);
    Ok(())
}

/// Takes a place away from a pod. Without `netns` the interface goes, and the pod's routes are not looked after.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NotMember`]; [`Error::Shim`], [`Error::Node`], [`Error::Record`], after which it can be
/// repeated.
pub async fn disconnect(state: &State, pod_id: &str, netns: Option<&Path>, network: &str) -> Result<()> {
    let place = {
        let known = state.known();
        let network = known.find(network)?;
        let place = known.pods.get(pod_id).and_then(|pod| pod.place(&network.id)).cloned();
        place.ok_or_else(|| Error::NotMember { pod_id: pod_id.to_owned(), network: network.name.clone() })?
    };
    if let Some(netns) = netns {
        mark(state, pod_id, &place, Phase::Leaving).await?;
        // Names are not to lead to it any more while it goes.
        state.notify();
        let pod = own(state, pod_id, &place)?;
        match change(state, &pod, netns, &[], std::slice::from_ref(&place)).await {
            // A pod that may change its own network can make its routes impossible. That must not keep it in this one.
            Err(Error::Shim { source, .. }) if source.refused().is_some() => {
                tracing::warn!(error = %source, pod_id, network = place.network, "a pod leaves a network without new routes");
            }
            other => other?,
        }
    }
    take_away(state, pod_id, &place).await?;
    state.notify();
    Ok(())
}

/// Removes the interface of a place, forgets the place, and removes what is no longer needed.
async fn take_away(state: &State, pod_id: &str, place: &Place) -> Result<()> {
    let mut work = state.work().await?;
    unplug(vec![place.host_interface.clone()]).await?;
    let before = state.known().in_use();
    forget(state, &mut work, pod_id, place).await?;
    if state.known().in_use() != before {
        // A failure is kept for `degraded`.
        let _ = settle(state, &mut work).await;
    }
    Ok(())
}

/// Forgets a place in the record, then in memory: its addresses are free from then on. A pod without places has no record.
///
/// # Errors
/// [`Error::Record`].
pub async fn forget(state: &State, _work: &mut WorkGuard<'_>, pod_id: &str, place: &Place) -> Result<()> {
    let Some(mut pod) = state.known().pods.get(pod_id).cloned() else { return Ok(()) };
    pod.places.retain(|other| other.wish.network != place.wish.network);
    if pod.places.is_empty() {
        state.store.remove_pod(pod_id).await?;
    } else {
        state.store.write_pod(&pod).await?;
    }
    let mut known = state.known();
    known.forget(pod_id, place.network_id());
    if known.pods.get(pod_id).is_some_and(|pod| pod.places.is_empty()) {
        known.forget_pod(pod_id);
        known.up.remove(pod_id);
    }
    Ok(())
}
