// SPDX-License-Identifier: Apache-2.0
//! Connecting pods to networks that people made, and disconnecting them, while they run and while they do not.
//!
//! The pod's settings say in which networks the next pod like it is to be; places are what a running pod has. A change makes
//! or takes the place first. Whatever a killed daemon has left of the two, each change ends with both alike.

use super::settings::{self, DEFAULT, current, keep, of_wish};
use super::user_networks::besides;
use super::{Network, Pod, etc_files, follow_places, name_table, readdress};
use crate::disk;
use crate::error::{Error, Kind as Failure, Result};
use crate::ids;
use crate::node::Node;
use gorae_proto::gorae::pod_network_settings::Kind;
use gorae_proto::gorae::{NetworkWish, NetworkWishes, PodNetworkSettings};
use gorae_user_networks::{ErrorKind, Membership, Wish};
use std::path::Path;
use std::sync::Arc;

/// Connects a pod to one more network. A pod that is not running is in it from its next start on.
///
/// # Errors
/// `FailedPrecondition` for a pod that cannot be in such networks; `AlreadyExists` when it is in it; those of the networks.
pub async fn connect(node: &Arc<Node>, pod: &Arc<Pod>, asked: &NetworkWish) -> Result<Option<Membership>> {
    if asked.network == DEFAULT {
        return Err(Error::new(
            Failure::Unimplemented,
            format!("gorae cannot connect a pod to the default network later; run it again with --network {DEFAULT}"),
        ));
    }
    let wish = settings::wish(asked)?;
    let _verb = pod.verb.lock().await;
    can_change(pod)?;
    let network = node.networks.people.find(&wish.network)?.network;
    let wish = Wish { network: network.name.clone(), ..wish };
    let mut wishes = wishes_of(node, pod);
    let names = wishes.names.clone();
    let is_kept = wishes.networks.iter().any(|one| one.network == network.name);
    let place = place_in(node, pod, &network.name);
    // A daemon that was killed between the two steps of a change has left one without the other.
    if is_kept && (place.is_some() || !pod.is_ready()) {
        follow_places::follow_places(node, pod).await?;
        let why = format!("pod {} is already in network {}", ids::short(pod.id()), network.name);
        return Err(Error::new(Failure::AlreadyExists, why));
    }
    wishes.networks.retain(|one| one.network != network.name);
    wishes.networks.push(of_wish(&wish));
    let last = current(pod).unwrap_or_default();
    let settings = PodNetworkSettings { kind: Some(Kind::Networks(wishes)), ..last.clone() };
    settings::check(&settings, &pod.record.config)?;
    node.networks.people.check(pod.id(), &wish)?;
    let before = node.networks.people.memberships(pod.id());
    let made = match pod.is_ready() {
        true => Some(connect_now(node, pod, &wish, &names, place).await?),
        false => None,
    };
    let kept = match keep(&node.machine.places, pod, settings) {
        Ok(()) => change_address(node, pod, &before).await,
        Err(error) => Err(error),
    };
    if let Err(error) = kept {
        return Err(match undo(node, pod, &wish.network, last).await {
            Ok(()) => error,
            Err(undo) => error.and_undo_failed(&undo),
        });
    }
    node.refresh_names().await;
    Ok(made)
}

/// Takes a pod out of a network that it was just connected to. Each step is tried whatever became of the one before.
async fn undo(node: &Arc<Node>, pod: &Pod, network: &str, last: PodNetworkSettings) -> Result<()> {
    let left = match place_in(node, pod, network) {
        Some(_) => leave(node, pod, network).await,
        None => Ok(()),
    };
    let kept = keep(&node.machine.places, pod, last);
    left.and(kept).and(stop_asking(node, pod).await)
}

/// Puts the resolver's settings back of a pod that is not to ask the name server any more.
async fn stop_asking(node: &Node, pod: &Pod) -> Result<()> {
    if !pod.is_ready() || name_table::asks(node, pod) {
        return Ok(());
    }
    disk::blocking(|| etc_files::ask_no_names(&node.machine.places.pod_root(pod.id()), &pod.record))?;
    node.networks.names.forget(pod.id()).await;
    Ok(())
}

/// Disconnects a pod from one network.
///
/// # Errors
/// `NotFound` when it is not in it; `FailedPrecondition` for a pod that cannot be in such networks; those of the networks.
pub async fn disconnect(node: &Arc<Node>, pod: &Arc<Pod>, network: &str) -> Result<()> {
    let _verb = pod.verb.lock().await;
    can_change(pod)?;
    let name = match node.networks.people.find(network) {
        Ok(found) => found.network.name.clone(),
        // One that was removed can still be named.
        Err(error) if error.kind() == ErrorKind::NotFound => network.to_owned(),
        Err(error) => return Err(error.into()),
    };
    if name == DEFAULT {
        return Err(Error::new(
            Failure::Unimplemented,
            "gorae cannot disconnect a pod from the default network; run it again with --network",
        ));
    }
    let mut wishes = wishes_of(node, pod);
    let before = wishes.networks.len();
    wishes.networks.retain(|one| one.network != name);
    let place = place_in(node, pod, &name);
    if wishes.networks.len() == before && place.is_none() {
        let why = format!("pod {} is not in network {network}", ids::short(pod.id()));
        return Err(Error::new(Failure::NotFound, why));
    }
    let followed = match place {
        Some(_) => leave(node, pod, &name).await.map(Ok)?,
        // The place is gone, but its host ports may still lead there.
        None => follow_places::follow_places(node, pod).await,
    };
    let settings = current(pod).unwrap_or_default();
    keep(&node.machine.places, pod, PodNetworkSettings { kind: Some(Kind::Networks(wishes)), ..settings })?;
    node.refresh_names().await;
    followed
}

/// The place of a pod in a network, while it is up.
fn place_in(node: &Node, pod: &Pod, network: &str) -> Option<Membership> {
    node.networks.people.memberships(pod.id()).into_iter().find(|place| place.network == network)
}

/// The default route may lead into another network now.
async fn change_address(node: &Arc<Node>, pod: &Pod, before: &[Membership]) -> Result<()> {
    if !pod.is_ready() {
        return Ok(());
    }
    readdress::close_ports(node, &pod.record).await?;
    readdress::readdress(node, pod, before).await
}

/// Gives a running pod its place, unless a killed daemon has left it one, and has its names answered in any case.
async fn connect_now(
    node: &Arc<Node>,
    pod: &Pod,
    wish: &Wish,
    names: &[String],
    place: Option<Membership>,
) -> Result<Membership> {
    let Some(netns) = &pod.record.netns else {
        return Err(Error::precondition(
            "the pod was made by an earlier version of goraed; stop it and start it again",
        ));
    };
    let made = match place {
        Some(place) => place,
        None => node.networks.people.connect(pod.id(), Some(netns), wish, names, besides(&pod.record)).await?,
    };
    if let Err(error) = have_names_answered(node, pod, netns).await {
        // It reaches the others by address, and the keeper of the names tries again.
        tracing::warn!(pod = ids::short(pod.id()), %error, "the pod's names are not answered yet");
    }
    Ok(made)
}

/// The file is the same one that its containers have mounted.
async fn have_names_answered(node: &Node, pod: &Pod, netns: &Path) -> Result<()> {
    let served = node.networks.names.serve(pod.id(), netns).await;
    // Also when that failed: the keeper of the names tries again, and nobody would set the resolver later.
    disk::blocking(|| etc_files::ask_names(&node.machine.places.pod_root(pod.id()), &pod.record.config))?;
    served
}

/// Takes a running pod out of a network.
async fn leave(node: &Arc<Node>, pod: &Pod, network: &str) -> Result<()> {
    let before = node.networks.people.memberships(pod.id());
    readdress::close_ports(node, &pod.record).await?;
    let left = node.networks.people.disconnect(pod.id(), pod.record.netns.as_deref(), network).await;
    // Also when that failed: the ports are closed.
    let opened = readdress::readdress(node, pod, &before).await;
    Ok(left?).and(opened)
}

/// Pods with a network namespace of their own, except for those that were made to have no network.
fn can_change(pod: &Pod) -> Result<()> {
    let why = match &pod.record.network {
        Network::Host => "it is on the node's network",
        Network::Of { .. } => "it is in the network of another pod",
        Network::Loopback => "it was made without a network",
        Network::People | Network::Builtin { .. } | Network::Cni { .. } => return Ok(()),
    };
    Err(Error::precondition(format!("pod {} can be in no network that people made: {why}", ids::short(pod.id()))))
}

/// The networks in the settings, by name. A pod that had none is in the default one, and found by its own name.
fn wishes_of(node: &Node, pod: &Pod) -> NetworkWishes {
    let Some(Kind::Networks(mut wishes)) = current(pod).and_then(|settings| settings.kind) else {
        let name = pod.record.config.metadata.as_ref().map(|metadata| metadata.name.clone());
        let default = NetworkWish { network: DEFAULT.to_owned(), ..Default::default() };
        return NetworkWishes { networks: vec![default], names: name.into_iter().collect() };
    };
    for wish in wishes.networks.iter_mut().filter(|wish| wish.network != DEFAULT) {
        if let Ok(found) = node.networks.people.find(&wish.network) {
            wish.network.clone_from(&found.network.name);
        }
    }
    wishes
}
