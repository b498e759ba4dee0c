// SPDX-License-Identifier: Apache-2.0
//! Networks as lists show them: those that people made, and the three that are always there.

use gorae_node::Node;
use gorae_node::error::{Error, Result};
use gorae_node::ids::PodId;
use gorae_node::networks::Choice;
use gorae_node::pod::{self, State};
use gorae_proto::gorae::{Network, NetworkMember, NetworkSettings, SubnetSettings};
use gorae_user_networks::{Listed, Membership};
use ipnet::IpNet;
use std::net::IpAddr;

/// The network that a pod is in when nobody asks for one.
const DEFAULT: &str = pod::settings::DEFAULT;
/// The networks that are always there.
const PREDEFINED: [&str; 3] = [DEFAULT, "host", "none"];

/// All networks by name, after those whose records are damaged: of these only the ids are known.
pub fn all(node: &Node) -> Vec<Network> {
    let people = node.networks.people.list();
    let mut all: Vec<Network> = people.iter().map(|listed| network(node, listed)).collect();
    all.extend(PREDEFINED.map(|name| predefined(node, name)));
    let damaged = node.networks.people.damaged().into_iter();
    all.extend(damaged.map(|(id, damaged)| Network { id, damaged, ..Network::default() }));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// One network by its name or its id.
///
/// # Errors
/// `NotFound`, and `InvalidArgument` for an ambiguous id.
pub fn find(node: &Node, name: &str) -> Result<Network> {
    match PREDEFINED.contains(&name) {
        true => Ok(predefined(node, name)),
        false => Ok(network(node, &node.networks.people.find(name)?)),
    }
}

/// Refuses to remove what is always there.
///
/// # Errors
/// `FailedPrecondition` with the name.
pub fn refuse_predefined(name: &str) -> Result<()> {
    match PREDEFINED.contains(&name) {
        true => Err(Error::precondition(format!("network {name} is always there and cannot be removed"))),
        false => Ok(()),
    }
}

/// A network that somebody made, with the pods in it.
pub fn network(node: &Node, listed: &Listed) -> Network {
    let made = &listed.network;
    let subnets = made.subnets.iter().map(|subnet| SubnetSettings {
        subnet: subnet.subnet.to_string(),
        range: subnet.range.map(|range| range.to_string()).unwrap_or_default(),
        gateway: subnet.gateway.to_string(),
    });
    Network {
        id: made.id.clone(),
        name: made.name.clone(),
        created_at: made.created_at,
        settings: Some(NetworkSettings {
            driver: "bridge".to_owned(),
            subnets: subnets.collect(),
            no_ipv4: made.subnet(true).is_none(),
            ipv6: made.subnet(false).is_some(),
            internal: made.internal,
            mtu: made.mtu.unwrap_or_default(),
            labels: made.labels.clone().into_iter().collect(),
            options: made.options.clone().into_iter().collect(),
        }),
        bridge: made.bridge.clone(),
        members: listed.members.iter().map(|one| member(node, &one.pod_id, &one.membership)).collect(),
        damaged: String::new(),
    }
}

/// A pod in a network that somebody made.
pub fn member(node: &Node, pod_id: &str, place: &Membership) -> NetworkMember {
    NetworkMember {
        pod_id: pod_id.to_owned(),
        pod_name: PodId::parse(pod_id)
            .and_then(|id| node.objects.pods.get(&id))
            .map(|pod| name(&pod))
            .unwrap_or_default(),
        interface: place.interface.clone(),
        addresses: place.addresses.iter().map(ToString::to_string).collect(),
        mac: place.mac.map(|byte| format!("{byte:02x}")).join(":"),
        names: place.names.clone(),
    }
}

fn name(pod: &pod::Pod) -> String {
    pod.record.config.metadata.as_ref().map(|metadata| metadata.name.clone()).unwrap_or_default()
}

fn predefined(node: &Node, name: &str) -> Network {
    let mut shown = Network { id: name.to_owned(), name: name.to_owned(), ..Network::default() };
    let driver = match name {
        "host" => "host",
        "none" => "null",
        _ => return default_network(node, shown),
    };
    shown.settings = Some(NetworkSettings { driver: driver.to_owned(), ..NetworkSettings::default() });
    shown
}

/// The built-in network, or that of a CNI configuration, with the pods in it.
fn default_network(node: &Node, shown: Network) -> Network {
    let mut settings = NetworkSettings { driver: "bridge".to_owned(), ..NetworkSettings::default() };
    let mut bridge = String::new();
    if let Ok(Choice::Cni(chosen)) = node.networks.choose() {
        settings.driver = "cni".to_owned();
        settings.options.insert("name".to_owned(), chosen.list.name.clone());
    } else if let Some(builtin) = node.networks.builtin.bridge() {
        settings.subnets = builtin.gateways.iter().map(subnet).collect();
        settings.no_ipv4 = !builtin.gateways.iter().any(|net| net.addr().is_ipv4());
        settings.ipv6 = builtin.gateways.iter().any(|net| net.addr().is_ipv6());
        settings.mtu = builtin.mtu.unwrap_or_default();
        bridge = builtin.name;
    }
    let members = node.objects.pods.all().iter().filter_map(|pod| in_default(pod)).collect();
    Network { settings: Some(settings), bridge, members, ..shown }
}

fn subnet(gateway: &IpNet) -> SubnetSettings {
    SubnetSettings { subnet: gateway.trunc().to_string(), range: String::new(), gateway: gateway.addr().to_string() }
}

fn in_default(pod: &pod::Pod) -> Option<NetworkMember> {
    let State::Ready(up) = pod.state() else { return None };
    let addresses: Vec<IpAddr> = match &pod.record.network {
        pod::Network::Builtin { addresses, .. } => addresses.clone(),
        pod::Network::Cni { .. } => up.addresses,
        _ => return None,
    };
    Some(NetworkMember {
        pod_id: pod.id().to_string(),
        pod_name: name(pod),
        interface: "eth0".to_owned(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
        ..NetworkMember::default()
    })
}
