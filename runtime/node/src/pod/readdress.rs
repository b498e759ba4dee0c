// SPDX-License-Identifier: Apache-2.0
//! What follows when a running pod has other places in networks: its addresses, with its hosts file, and where its host ports
//! lead.

use super::etc_files::{self, OwnLines};
use super::{Network, Pod, Record, State, UP_KIND, UP_VERSION, Up};
use crate::disk;
use crate::error::{Error, Result};
use crate::networks::Networks;
use crate::node::Node;
use crate::{ids, records};
use gorae_user_networks::Membership;
use ipnet::IpNet;
use std::cmp::Reverse;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Where host ports of a pod that is only in networks that people made lead: into the network that has its default route,
/// because what it answers goes there. An internal network has no way in.
pub fn published(networks: &Networks, record: &Record) -> Vec<IpAddr> {
    let (places, wishes) = (networks.people.memberships(&record.id), networks.people.wishes(&record.id));
    let mut open: Vec<(i32, Membership)> = wishes.iter().map(|wish| wish.gateway_priority).zip(places).collect();
    open.retain(|(_, place)| !place.internal);
    open.sort_by(|(a, one), (b, other)| (Reverse(a), &one.network).cmp(&(Reverse(b), &other.network)));
    open.iter().flat_map(|(_, place)| place.addresses.iter().map(IpNet::addr)).collect()
}

/// Closes the pod's host ports before one of its addresses may become another pod's.
///
/// # Errors
/// Those of the built-in network, which owns them.
pub async fn close_ports(node: &Node, record: &Record) -> Result<()> {
    if !leads_ports(record) {
        return Ok(());
    }
    node.networks.builtin.withdraw(&record.id).await?;
    node.networks.builtin.release(&record.id);
    Ok(())
}

/// Opens them again where they lead now, and records the pod's addresses. `before` are its places before the change.
///
/// # Errors
/// Those of the built-in network; those of the disk.
pub async fn readdress(node: &Arc<Node>, pod: &Pod, before: &[Membership]) -> Result<()> {
    let State::Ready(up) = pod.state() else { return Ok(()) };
    let record = &pod.record;
    let now = addresses(node, record, &up.addresses, before);
    let mut up = up.with_addresses(now);
    if leads_ports(record) {
        let published = published(&node.networks, record);
        node.networks.builtin.reserve_ports(&record.id, &record.config.port_mappings, record.network.mapper()).await?;
        if !published.is_empty() {
            node.networks.builtin.publish_at(&record.id, &published).await?;
        }
        up.published = Some(published);
    }
    note(node, pod, up)?;
    follow_hosts(node, pod);
    Ok(())
}

/// Records what is known of a ready pod.
fn note(node: &Node, pod: &Pod, up: Up) -> Result<()> {
    records::write(&node.machine.places.pod_run(pod.id()), UP_KIND, UP_KIND, UP_VERSION, &up)?;
    pod.set_ready(up).map_err(|()| Error::precondition("the pod was stopped meanwhile"))
}

/// Has the hosts files of all pods follow their addresses where a killed daemon, or a full disk, has left that undone.
pub fn follow_all_hosts(node: &Node) {
    let is_due = |pod: &Arc<Pod>| matches!(pod.state(), State::Ready(Up { hosts_due: Some(_), .. }));
    for pod in node.objects.pods.all().into_iter().filter(is_due) {
        // Another verb is working on the pod.
        let Ok(_verb) = pod.verb.try_lock() else { continue };
        follow_hosts(node, &pod);
    }
}

/// Has a pod's hosts file follow its addresses, and those of its guests, for a caller that holds its verb lock. The pod can do
/// without it: what failed is tried again.
fn follow_hosts(node: &Node, pod: &Pod) {
    let State::Ready(up) = pod.state() else { return };
    let Some(gone) = &up.hosts_due else { return };
    let guests = node.objects.pods.all().into_iter().filter(|guest| is_guest_of(guest, pod));
    let pods = guests.map(|guest| guest.id().clone()).chain([pod.id().clone()]);
    let dirs: Vec<PathBuf> = pods.map(|id| node.machine.places.pod_root(&id)).collect();
    let done = disk::blocking(|| {
        let hostname = pod.record.hostname()?;
        let lines = OwnLines { hostname: &hostname, gone, now: &up.addresses };
        dirs.iter().try_for_each(|dir| etc_files::follow(dir, &lines))?;
        note(node, pod, Up { hosts_due: None, ..up.clone() })
    });
    if let Err(error) = done {
        tracing::warn!(pod = ids::short(pod.id()), %error, "the pod's hosts file does not have its addresses yet");
    }
}

fn is_guest_of(guest: &Pod, host: &Pod) -> bool {
    matches!(&guest.record.network, Network::Of { pod, .. } if pod == host.id())
}

/// Whether the pod has host ports that follow its places.
pub(super) fn leads_ports(record: &Record) -> bool {
    matches!(record.network, Network::People) && !record.config.port_mappings.is_empty()
}

/// Those that the pod has of its default network, then those of its places.
pub(super) fn addresses(node: &Node, record: &Record, last: &[IpAddr], before: &[Membership]) -> Vec<IpAddr> {
    let of = |places: &[Membership]| -> Vec<IpAddr> {
        places.iter().flat_map(|place| place.addresses.iter().map(IpNet::addr)).collect()
    };
    let gone = of(before);
    let has_others = !matches!(record.network, Network::People);
    let kept = last.iter().filter(|ip| has_others && !gone.contains(ip)).copied();
    kept.chain(of(&node.networks.people.memberships(&record.id))).collect()
}
