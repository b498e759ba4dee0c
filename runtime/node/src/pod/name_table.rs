// SPDX-License-Identifier: Apache-2.0
//! What the pods in networks that people made are found by, for the name server.

use super::settings::{Asked, asked, current};
use super::user_networks::are_reserved;
use super::{Network, Pod};
use crate::ids::PodId;
use crate::names::{self, MemberNames, NetworkNames, Table};
use crate::node::Node;
use gorae_user_networks::{Listed, Member};
use ipnet::IpNet;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

impl Node {
    /// Tells the name server what is so now, if there is one.
    pub async fn refresh_names(&self) {
        self.networks.names.set(|| table(self)).await;
    }

    /// The same when this pod or its containers have changed, if it is in networks that people made.
    pub async fn refresh_names_of(&self, pod_id: &PodId) {
        if !self.networks.people.memberships(pod_id).is_empty() {
            self.refresh_names().await;
        }
    }

    /// Tells the name server of each change of networks, until it is aborted.
    pub async fn follow_names(&self) {
        let mut changed = self.networks.people.changed();
        while changed.changed().await.is_ok() {
            self.refresh_names().await;
        }
    }

    /// Finds the pods that an earlier daemon had answered, once the names are known. To be called once, when all pods are.
    pub async fn resume_names(&self) {
        self.refresh_names().await;
        let answered = asking(self).into_iter();
        let answered = answered.filter_map(|pod| Some((pod.id().clone(), pod.record.netns.clone()?)));
        self.networks.names.resume(answered.collect());
    }
}

/// The pods that ask the name server.
fn asking(node: &Node) -> Vec<Arc<Pod>> {
    node.objects.pods.all().into_iter().filter(|pod| pod.is_ready() && asks(node, pod)).collect()
}

/// Whether a pod asks the name server while it is up: also one that was disconnected from all networks that people made, and
/// one that was being connected to its first one when a daemon was killed, before its settings said so.
pub(super) fn asks(node: &Node, pod: &Pod) -> bool {
    matches!(asked(current(pod).as_ref()), Asked::Networks(_)) || are_reserved(node, &pod.record)
}

fn table(node: &Node) -> Table {
    let (listed, pods) = (node.networks.people.list(), asking(node));
    let ranks = ranks(&listed);
    let mut networks: Vec<NetworkNames> = listed.iter().map(|one| of_network(node, one, &ranks)).collect();
    networks.push(default_network(&pods));
    let servers = pods.iter().filter_map(|pod| {
        let dns = pod.record.config.dns_config.as_ref()?;
        Some((pod.id().to_string(), names::servers(&dns.servers)))
    });
    Table { networks, servers: servers.collect() }
}

/// Where each network is among those of a pod, by pod and network: in the order in which the default route is chosen, as
/// with Docker.
type Ranks<'l> = HashMap<(&'l str, &'l str), u32>;

fn ranks(listed: &[Listed]) -> Ranks<'_> {
    let mut places: Vec<_> = listed.iter().flat_map(|one| &one.members).collect();
    places.sort_by_key(|Member { membership: place, .. }| {
        (place.internal, Reverse(place.gateway_priority), place.network.as_str())
    });
    let numbered = places.iter().zip(0..);
    numbered.map(|(one, rank)| ((one.pod_id.as_str(), one.membership.network_id.as_str()), rank)).collect()
}

fn of_network(node: &Node, listed: &Listed, ranks: &Ranks<'_>) -> NetworkNames {
    NetworkNames {
        name: listed.network.name.clone(),
        internal: listed.network.internal,
        subnets: listed.network.subnets.iter().map(|subnet| subnet.subnet).collect(),
        members: listed.members.iter().map(|member| of_member(node, member, ranks)).collect(),
    }
}

/// The length of a short id, as people know it from Docker.
const SHORT: usize = 12;

/// The pod's names, then the short ids of its containers.
fn of_member(node: &Node, member: &Member, ranks: &Ranks<'_>) -> MemberNames {
    let containers = PodId::parse(&member.pod_id).map(|id| node.objects.of_pod(&id)).unwrap_or_default();
    let short = containers.iter().filter_map(|container| container.record().id.get(..SHORT).map(str::to_owned));
    let place = &member.membership;
    MemberNames {
        pod: member.pod_id.clone(),
        names: place.names.iter().cloned().chain(short).collect(),
        addresses: place.addresses.iter().map(IpNet::addr).collect(),
        rank: ranks.get(&(member.pod_id.as_str(), place.network_id.as_str())).copied().unwrap_or_default(),
    }
}

/// The way out of pods that are in the default network, too. It has no names.
fn default_network(pods: &[Arc<Pod>]) -> NetworkNames {
    let inside = pods.iter().filter(|pod| !matches!(pod.record.network, Network::People));
    let member =
        |pod: &Arc<Pod>| MemberNames { pod: pod.id().to_string(), names: Vec::new(), addresses: Vec::new(), rank: 0 };
    NetworkNames {
        name: super::settings::DEFAULT.to_owned(),
        internal: false,
        subnets: Vec::new(),
        members: inside.map(member).collect(),
    }
}
