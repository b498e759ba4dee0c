// SPDX-License-Identifier: Apache-2.0
//! What a pod gets of the networks that people made, from its reservation to its release.

use super::settings::{self, DEFAULT};
use super::{Network, Record, request};
use crate::error::{Error, Result};
use crate::networks::Networks;
use crate::node::Node;
use gorae_proto::gorae::{NetworkWish, NetworkWishes};
use gorae_proto::shim::SetSysctls;
use gorae_shims as shims;
use gorae_user_networks::{Besides, Membership, Wish};
use ipnet::IpNet;
use std::net::IpAddr;
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
pub fn besides(record: &Record) -> Besides {
    if matches!(record.network, Network::People) { Besides::Nothing } else { Besides::DefaultNetwork }
}
