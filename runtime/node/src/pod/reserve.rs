// SPDX-License-Identifier: Apache-2.0
//! The first step of making a pod: its network is chosen, what networks give out is allocated, and the intent is written.

use super::settings::{Asked, asked};
use super::{Network, Pod, RECORD_KIND, RECORD_VERSION, Record, request, user_networks};
use crate::disk;
use crate::error::{Error, Result};
use crate::ids;
use crate::networks::{Choice, Networks};
use crate::objects::Objects;
use crate::places::Places;
use crate::records;
use gorae_cni::capability::PORT_MAPPINGS;
use gorae_cni::directory::Chosen;
use gorae_network::Mapper;
use gorae_proto::cri;
use gorae_proto::shim::PodNetwork;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is to be made of a pod's network.
#[derive(Debug)]
pub enum Wanted {
    /// Nothing: it is the node's, or only a loopback interface.
    Nothing,
    /// That of the pod with this network namespace.
    Of(PathBuf),
    /// This interface; the node is at the address.
    Builtin(PodNetwork, Option<IpAddr>),
    /// What the plugins of this network make.
    Cni(Arc<Chosen>),
    /// Only interfaces in networks that people made. A pod that is in another one, too, can have such interfaces besides.
    People,
}

impl Wanted {
    /// What the shim makes with the namespace.
    pub fn interface(&self) -> Option<&PodNetwork> {
        if let Self::Builtin(interface, _) = self { Some(interface) } else { None }
    }

    /// The namespace that the pod shares.
    pub fn joined(&self) -> Option<&Path> {
        if let Self::Of(netns) = self { Some(netns) } else { None }
    }
}

/// Chooses the network, allocates addresses and ports, and writes the intent. It touches nothing else.
///
/// # Errors
/// Those of the networks, and of the disk; nothing is allocated then.
pub async fn reserve(places: &Places, networks: &Networks, objects: &Objects, record: &mut Record) -> Result<Wanted> {
    let allocated = allocate(networks, objects, record).await;
    let written = match allocated {
        Ok(wanted) => write(places, record).map(|()| wanted),
        Err(error) => Err(error),
    };
    match written {
        Ok(wanted) => Ok(wanted),
        Err(error) => Err(give_back(networks, record, error).await),
    }
}

async fn allocate(networks: &Networks, objects: &Objects, record: &mut Record) -> Result<Wanted> {
    if request::namespaces(&record.config).network() == cri::NamespaceMode::Node {
        return Ok(Wanted::Nothing);
    }
    let settings = record.settings.clone();
    match asked(settings.as_ref()) {
        Asked::Nodes => allocate_as_the_node_is_set(networks, record).await,
        Asked::Loopback => {
            record.network = Network::Loopback;
            Ok(Wanted::Nothing)
        }
        Asked::Of(id) => {
            let host = objects.pods.find(id)?;
            let netns = netns_of(&host)?;
            record.network = Network::Of { pod: host.id().clone(), hostname: host.record.hostname()? };
            Ok(Wanted::Of(netns))
        }
        Asked::Networks(wishes) => {
            record.network = Network::People;
            let (in_default, people) = user_networks::split(wishes);
            let wanted = match in_default {
                true => allocate_as_the_node_is_set(networks, record).await?,
                false => Wanted::People,
            };
            user_networks::reserve(networks, record, people, &wishes.names).await?;
            if !in_default {
                reserve_ports(networks, record).await?;
            }
            Ok(wanted)
        }
    }
}

/// The network namespace of a pod that can have guests.
fn netns_of(host: &Pod) -> Result<PathBuf> {
    let refuse = |why: &str| Err(Error::precondition(format!("network of pod {}: {why}", ids::short(host.id()))));
    match &host.record.netns {
        _ if !host.is_ready() => refuse("the pod is not running"),
        _ if !host.own_network() => refuse("it is the node's; ask for that one instead"),
        _ if host.user_mapping().is_some() => refuse("the pod has a user namespace of its own"),
        Some(netns) => Ok(netns.clone()),
        None => refuse("the pod was made by an earlier version of goraed; stop it and start it again"),
    }
}

async fn allocate_as_the_node_is_set(networks: &Networks, record: &mut Record) -> Result<Wanted> {
    match networks.choose()? {
        Choice::Builtin => {
            let plan = networks.builtin.prepare(&record.id, &record.config.port_mappings).await?;
            let host_interface = plan.network.host_interface.clone();
            record.network = Network::Builtin { addresses: plan.ips, host_interface };
            let node = plan.network.sources.first().and_then(|source| source.parse().ok());
            Ok(Wanted::Builtin(plan.network, node))
        }
        Choice::Cni(chosen) => {
            let maps_ports = chosen.list.wants(PORT_MAPPINGS);
            record.network = Network::Cni { name: chosen.list.name.clone(), maps_ports };
            reserve_ports(networks, record).await?;
            Ok(Wanted::Cni(chosen))
        }
    }
}

async fn reserve_ports(networks: &Networks, record: &Record) -> Result<()> {
    let (mappings, mapper): (_, Mapper) = (&record.config.port_mappings, record.network.mapper());
    if mappings.is_empty() {
        return Ok(());
    }
    Ok(networks.builtin.reserve_ports(&record.id, mappings, mapper).await?)
}

fn write(places: &Places, record: &Record) -> Result<()> {
    let dir = places.pod_root(&record.id);
    let written = disk::blocking(|| {
        records::make_dir(&dir)?;
        records::write_intent(&dir, "record", RECORD_KIND, RECORD_VERSION, record)
    });
    if written.is_err() {
        let _ = disk::blocking(|| std::fs::remove_dir_all(&dir));
    }
    written
}

/// Gives back what was allocated, and returns the error with what could not be.
async fn give_back(networks: &Networks, record: &Record, error: Error) -> Error {
    let left = user_networks::release(networks, record).await;
    let withdrawn = networks.builtin.withdraw(&record.id).await.map_err(Error::from);
    networks.builtin.release(&record.id);
    match left.and(withdrawn) {
        Ok(()) => error,
        Err(undo) => error.and_undo_failed(&undo),
    }
}
