// SPDX-License-Identifier: Apache-2.0
//! Records the places of a new pod, and frees them again.

use crate::choose::choose;
use crate::error::{Error, Result};
use crate::member::{Besides, Membership, Place, Pod};
use crate::names;
use crate::network::Network;
use crate::settle::settle;
use crate::state::{Known, State};
use crate::wish::Wish;
use std::cmp::Reverse;
use std::sync::Arc;

/// The most networks of one pod.
const MOST: usize = 64;

/// Chooses the places of a new pod and records them.
///
/// # Errors
/// Those of [`choose`]; [`Error::AlreadyMember`] when the pod has other places; [`Error::Record`].
pub async fn reserve(
    state: &State,
    pod_id: &str,
    wishes: &[Wish],
    names: &[String],
    besides: Besides,
) -> Result<Vec<Membership>> {
    let names = names::own(names)?;
    let _work = state.work().await?;
    let pod = {
        let mut known = state.known();
        let none = Pod { pod_id: pod_id.to_owned(), netns: None, besides, places: Vec::new() };
        let pod = choose_all(&known, none, wishes, &names)?;
        if let Some(earlier) = known.pods.get(pod_id) {
            return repeated(earlier, &pod);
        }
        pod.places.iter().for_each(|place| known.take(place));
        pod
    };
    state.store.write_pod(&pod).await?;
    let memberships = pod.places.iter().map(Place::membership).collect();
    state.known().pods.insert(pod_id.to_owned(), pod);
    state.notify();
    Ok(memberships)
}

/// The same call gives the same result.
fn repeated(earlier: &Pod, wanted: &Pod) -> Result<Vec<Membership>> {
    let same = earlier.places.len() == wanted.places.len()
        && earlier.places.iter().zip(&wanted.places).all(|(a, b)| a.wish == b.wish && a.names == b.names);
    match earlier.places.first() {
        Some(place) if !same => {
            Err(Error::AlreadyMember { pod_id: earlier.pod_id.clone(), network: place.network.clone() })
        }
        _ => Ok(earlier.places.iter().map(Place::membership).collect()),
    }
}

fn choose_all(known: &Known, mut pod: Pod, wishes: &[Wish], names: &[String]) -> Result<Pod> {
    if wishes.is_empty() || wishes.len() > MOST {
        return Err(Error::invalid("networks of pod", pod.pod_id, format!("are {}, not 1 to {MOST}", wishes.len())));
    }
    let found = wishes.iter().map(|wish| Ok((known.find(&wish.network)?, wish)));
    let mut all: Vec<(Arc<Network>, &Wish)> = found.collect::<Result<_>>()?;
    all.sort_by(|(a, wish), (b, other)| {
        (Reverse(wish.gateway_priority), &a.name).cmp(&(Reverse(other.gateway_priority), &b.name))
    });
    for (network, wish) in all {
        let place = choose(known, &pod, &network, wish, names)?;
        pod.places.push(place);
    }
    Ok(pod)
}

/// Frees a pod's places and forgets it.
///
/// # Errors
/// [`Error::Record`]. Then its addresses stay in use.
pub async fn release(state: &State, pod_id: &str) -> Result<()> {
    let has_record = {
        let known = state.known();
        known.pods.contains_key(pod_id) || known.damaged_pods.contains_key(pod_id)
    };
    if !has_record {
        return Ok(());
    }
    let mut work = state.work().await?;
    state.store.remove_pod(pod_id).await?;
    let attached = {
        let mut known = state.known();
        known.forget_pod(pod_id);
        let damaged = known.damaged_pods.remove(pod_id).is_some();
        known.up.remove(pod_id) || damaged
    };
    state.notify();
    if attached {
        // Without `detach`, or after one that failed. A failure is kept for `degraded`.
        let _ = settle(state, &mut work).await;
    }
    Ok(())
}
