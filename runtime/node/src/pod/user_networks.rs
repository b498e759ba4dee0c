// SPDX-License-Identifier: Apache-2.0
//! Pods in networks that people made.

use super::settings::{self, DEFAULT, current, keep, of_wish};
use super::{Network, Pod, Record, etc_files, readdress, request};
use crate::disk;
use crate::error::{Error, Kind as Failure, Result};
use crate::ids;
use crate::networks::Networks;
use crate::node::Node;
use gorae_proto::gorae::pod_network_settings::Kind;
use gorae_proto::gorae::{NetworkWish, NetworkWishes, PodNetworkSettings};
use gorae_proto::shim::SetSysctls;
use gorae_shims as shims;
use gorae_user_networks::{Besides, ErrorKind, Membership, Wish};
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// What a pod has in its networks.
#[derive(Debug)]
pub struct Joined {
    /// Its addresses, in the order of its interfaces.
    pub addresses: Vec<IpAddr>,
    /// The node, as the pod reaches it.
    pub gateway: Option<IpAddr>,
}

impl Joined {
    fn of(memberships: &[Membership]) -> Self {
        let open = memberships.iter().filter(|one| !one.internal);
        let gateway = open.chain(memberships).find_map(|one| one.gateways.first()).copied();
        let addresses = memberships.iter().flat_map(|one| one.addresses.iter().map(IpNet::addr)).collect();
        Self { addresses, gateway }
    }
}

/// Whether a request asks for the default network, and for which others.
pub fn split(wishes: &NetworkWishes) -> (bool, Vec<&NetworkWish>) {
    let (default, people): (Vec<_>, Vec<_>) = wishes.networks.iter().partition(|wish| wish.network == DEFAULT);
    (!default.is_empty(), people)
}

/// Allocates and records what the pod gets in each network.
///
/// # Errors
/// Those of the networks; `InvalidArgument` for host ports of a pod that is only in internal networks.
pub async fn reserve(networks: &Networks, record: &Record, wishes: Vec<&NetworkWish>, names: &[String]) -> Result<()> {
    if wishes.is_empty() {
        return Ok(());
    }
    let asked: Vec<Wish> = wishes.into_iter().map(settings::wish).collect::<Result<_>>()?;
    let made = networks.people.reserve(&record.id, &asked, names, besides(record)).await?;
    if besides(record) == Besides::Nothing
        && !record.config.port_mappings.is_empty()
        && made.iter().all(|one| one.internal)
    {
        return Err(Error::invalid(
            "a pod that is only in internal networks cannot have host ports: publish none, or add a network that is not internal",
        ));
    }
    Ok(())
}

/// Makes the pod's interfaces, and has its names answered.
///
/// # Errors
/// Those of the networks and of the name server.
pub async fn attach(node: &Arc<Node>, record: &Record) -> Result<Joined> {
    let Some(netns) = &record.netns else { return Err(Error::internal("the pod's record has no network namespace")) };
    if !are_reserved(node, record) {
        return Ok(Joined::of(&[]));
    }
    node.networks.people.attach(&record.id, netns).await?;
    node.networks.names.serve(&record.id, netns).await?;
    Ok(Joined::of(&node.networks.people.memberships(&record.id)))
}

/// Sets the sysctls of the pod's interfaces, once it has them all.
///
/// # Errors
/// The kernel's, with the sysctl.
pub async fn set_sysctls(node: &Node, record: &Record) -> Result<()> {
    let mut sysctls = request::sysctls(&record.config)?;
    sysctls.retain(request::is_of_interface);
    if !sysctls.is_empty() {
        let set = SetSysctls { netns: record.netns_on_wire(), sysctls };
        shims::set_sysctls(&node.machine.spawner, &record.id, set).await?;
    }
    Ok(())
}

/// Has the pod's names not answered any more, and takes its interfaces away, while its namespace may still be used. It can be
/// repeated.
///
/// # Errors
/// Those of the networks.
pub async fn detach(networks: &Networks, record: &Record) -> Result<()> {
    networks.names.forget(&record.id).await;
    Ok(networks.people.detach(&record.id).await?)
}

/// Frees what the pod has in its networks, once its namespace is gone. It can be repeated.
///
/// # Errors
/// Those of the networks.
pub async fn release(networks: &Networks, record: &Record) -> Result<()> {
    Ok(networks.people.release(&record.id).await?)
}

/// Whether the pod is to be in networks that people made.
pub fn are_reserved(node: &Node, record: &Record) -> bool {
    !node.networks.people.memberships(&record.id).is_empty()
}

/// eth0 is the interface in the default network, if the pod is in that.
fn besides(record: &Record) -> Besides {
    if matches!(record.network, Network::People) { Besides::Nothing } else { Besides::DefaultNetwork }
}

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
    if if pod.is_ready() { place.is_some() && is_kept } else { is_kept } {
        let why = format!("pod {} is already in network {}", ids::short(pod.id()), network.name);
        return Err(Error::new(Failure::AlreadyExists, why));
    }
    wishes.networks.retain(|one| one.network != network.name);
    wishes.networks.push(of_wish(&wish));
    let settings = PodNetworkSettings { kind: Some(Kind::Networks(wishes)), ..current(pod).unwrap_or_default() };
    settings::check(&settings, &pod.record.config)?;
    node.networks.people.check(pod.id(), &wish)?;
    let before = node.networks.people.memberships(pod.id());
    let made = match (pod.is_ready(), place) {
        (false, _) => None,
        // A daemon that was killed between the two steps has made it.
        (true, Some(place)) => Some(place),
        (true, None) => Some(connect_now(node, pod, &wish, &names).await?),
    };
    let kept = match keep(&node.machine.places, pod, settings) {
        Ok(()) => change_address(node, pod, &before).await,
        Err(error) => Err(error),
    };
    if let Err(error) = kept {
        if made.is_some()
            && let Err(undo) = disconnect_now(node, pod, &wish.network).await
        {
            return Err(error.and_undo_failed(&undo));
        }
        return Err(error);
    }
    node.refresh_names().await;
    Ok(made)
}

/// Disconnects a pod from one network.
///
/// # Errors
/// `FailedPrecondition` when it is not in it; those of the networks.
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
        return Err(Error::precondition(format!("pod {} is not in network {network}", ids::short(pod.id()))));
    }
    let before = node.networks.people.memberships(pod.id());
    if place.is_some() {
        readdress::close_ports(node, &pod.record).await?;
        let done = disconnect_now(node, pod, &name).await;
        // Also when that failed: the ports are closed.
        let opened = readdress::readdress(node, pod, &before).await;
        done.and(opened)?;
    }
    let settings = current(pod).unwrap_or_default();
    keep(&node.machine.places, pod, PodNetworkSettings { kind: Some(Kind::Networks(wishes)), ..settings })?;
    node.refresh_names().await;
    Ok(())
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

async fn connect_now(node: &Arc<Node>, pod: &Pod, wish: &Wish, names: &[String]) -> Result<Membership> {
    let Some(netns) = &pod.record.netns else {
        return Err(Error::precondition(
            "the pod was made by an earlier version of goraed; stop it and start it again",
        ));
    };
    let made = node.networks.people.connect(pod.id(), Some(netns), wish, names, besides(&pod.record)).await?;
    if let Err(error) = have_names_answered(node, pod, netns).await {
        // It reaches the others by address, and the keeper of the names tries again.
        tracing::warn!(pod = ids::short(pod.id()), %error, "the pod's names are not answered yet");
    }
    Ok(made)
}

/// The file is the same one that its containers have mounted.
async fn have_names_answered(node: &Node, pod: &Pod, netns: &Path) -> Result<()> {
    node.networks.names.serve(pod.id(), netns).await?;
    disk::blocking(|| etc_files::ask_names(&node.machine.places.pod_root(pod.id()), &pod.record.config))
}

async fn disconnect_now(node: &Arc<Node>, pod: &Pod, network: &str) -> Result<()> {
    Ok(node.networks.people.disconnect(pod.id(), pod.record.netns.as_deref(), network).await?)
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
