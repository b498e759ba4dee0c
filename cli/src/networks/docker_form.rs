// SPDX-License-Identifier: Apache-2.0
//! A network as JSON in the form of `docker network inspect`, for scripts that read it. What Docker does not have is added.

use crate::labels;
use crate::parse::timestamp;
use gorae_proto::cri;
use gorae_proto::gorae::{Network, NetworkMember, SubnetSettings};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Time of creation of the networks that are always there, as Docker's own zero.
const ALWAYS: &str = "0001-01-01T00:00:00Z";

/// One network. Its containers are found by their pods among `containers`; a pod without one is listed by its own id.
pub fn network(network: &Network, containers: &[cri::Container]) -> Value {
    let settings = network.settings.clone().unwrap_or_default();
    let created = timestamp::show(network.created_at);
    let members = network.members.iter().flat_map(|member| endpoints(member, containers));
    json!({
        "Name": network.name,
        "Id": network.id,
        "Created": if created.is_empty() { ALWAYS } else { &created },
        "Scope": "local",
        "Driver": settings.driver,
        "EnableIPv4": !settings.no_ipv4,
        "EnableIPv6": settings.ipv6,
        "IPAM": {
            "Driver": "default",
            "Options": {},
            "Config": settings.subnets.iter().map(subnet).collect::<Vec<_>>(),
        },
        "Internal": settings.internal,
        "Attachable": false,
        "Ingress": false,
        "ConfigOnly": false,
        "Containers": members.collect::<Map<_, _>>(),
        "Options": sorted(&settings.options),
        "Labels": sorted(&settings.labels),
        "Mtu": settings.mtu,
        "Bridge": network.bridge,
    })
}

/// The networks of a pod as `NetworkSettings` of `docker inspect` has them.
pub fn settings(all: &[Network], pod: &str) -> Value {
    let entry = |network: &Network| {
        let member = network.members.iter().find(|member| member.pod_id == pod)?;
        Some((network.name.clone(), place(network, member)))
    };
    json!({ "Networks": all.iter().filter_map(entry).collect::<Map<_, _>>() })
}

fn place(network: &Network, member: &NetworkMember) -> Value {
    let (v4, v4_length) = split(address(member, Family::V4));
    let (v6, v6_length) = split(address(member, Family::V6));
    let subnets = network.settings.iter().flat_map(|settings| &settings.subnets);
    let gateway = |family: Family| subnets.clone().map(|subnet| &subnet.gateway).find(|ip| family.has(ip));
    json!({
        "NetworkID": network.id,
        "Gateway": gateway(Family::V4).filter(|_| !v4.is_empty()).map_or("", String::as_str),
        "IPAddress": v4,
        "IPPrefixLen": v4_length,
        "IPv6Gateway": gateway(Family::V6).filter(|_| !v6.is_empty()).map_or("", String::as_str),
        "GlobalIPv6Address": v6,
        "GlobalIPv6PrefixLen": v6_length,
        "MacAddress": member.mac,
        "Aliases": member.names,
        "DNSNames": member.names,
    })
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn has(self, address: &str) -> bool {
        !address.is_empty() && address.contains(':') == (self == Self::V6)
    }
}

/// The member's address of a family, with its prefix length; empty without one.
fn address(member: &NetworkMember, family: Family) -> &str {
    member.addresses.iter().find(|address| family.has(address)).map_or("", String::as_str)
}

/// An address and its prefix length. In the default network, an address stands alone.
fn split(address: &str) -> (&str, u8) {
    match address.split_once('/') {
        Some((address, length)) => (address, length.parse().unwrap_or_default()),
        None if address.is_empty() => ("", 0),
        None => (address, if Family::V6.has(address) { 128 } else { 32 }),
    }
}

/// A subnet without what it does not have, as Docker shows it.
fn subnet(subnet: &SubnetSettings) -> Value {
    let pairs = [("Subnet", &subnet.subnet), ("IPRange", &subnet.range), ("Gateway", &subnet.gateway)];
    let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    Value::Object(given.map(|(key, value)| (key.to_owned(), value.clone().into())).collect())
}

fn sorted(map: &std::collections::HashMap<String, String>) -> BTreeMap<&String, &String> {
    map.iter().collect()
}

/// What one pod has in the network, once for each container in it.
fn endpoints(member: &NetworkMember, containers: &[cri::Container]) -> Vec<(String, Value)> {
    let of_pod = containers.iter().filter(|container| container.pod_sandbox_id == member.pod_id);
    let mut named: Vec<_> = of_pod.map(|c| (c.id.clone(), labels::display_name(c))).collect();
    if named.is_empty() {
        named.push((member.pod_id.clone(), member.pod_name.clone()));
    }
    named.into_iter().map(|(id, name)| (id, endpoint(member, &name))).collect()
}

fn endpoint(member: &NetworkMember, name: &str) -> Value {
    json!({
        "Name": name,
        "MacAddress": member.mac,
        "IPv4Address": address(member, Family::V4),
        "IPv6Address": address(member, Family::V6),
        "Interface": member.interface,
        "Names": member.names,
        "PodId": member.pod_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_proto::gorae::NetworkSettings;

    fn made() -> Network {
        let member = |pod: &str, name: &str, addresses: &[&str]| NetworkMember {
            pod_id: pod.into(),
            pod_name: name.into(),
            interface: "eth0".into(),
            addresses: addresses.iter().map(|&a| a.to_owned()).collect(),
            mac: "02:42:0a:01:00:02".into(),
            names: vec![name.into(), "alias".into()],
        };
        let subnet = |subnet: &str, gateway: &str| SubnetSettings {
            subnet: subnet.into(),
            gateway: gateway.into(),
            ..Default::default()
        };
        Network {
            id: "12ab".into(),
            name: "back".into(),
            created_at: 951_868_800_000_000_000,
            settings: Some(NetworkSettings {
                driver: "bridge".into(),
                subnets: vec![subnet("10.1.0.0/24", "10.1.0.1"), subnet("fd00::/64", "")],
                ipv6: true,
                internal: true,
                mtu: 1400,
                labels: [("team".to_owned(), "x".to_owned())].into(),
                ..Default::default()
            }),
            bridge: "gb12ab".into(),
            members: vec![member("p1", "web", &["10.1.0.2/24", "fd00::2/64"]), member("p2", "lone", &["fd00::3/64"])],
            ..Default::default()
        }
    }

    #[test]
    fn scripts_find_what_they_read_from_docker() {
        let labels = labels::for_container("web");
        let web = cri::Container { id: "c1".into(), pod_sandbox_id: "p1".into(), labels, ..Default::default() };
        let shown = network(&made(), &[web]);
        for (path, expected) in [
            ("/Name", json!("back")),
            ("/Id", json!("12ab")),
            ("/Created", json!("2000-03-01T00:00:00Z")),
            ("/Driver", json!("bridge")),
            ("/Internal", json!(true)),
            ("/EnableIPv4", json!(true)),
            ("/EnableIPv6", json!(true)),
            ("/IPAM/Config/0", json!({ "Subnet": "10.1.0.0/24", "Gateway": "10.1.0.1" })),
            ("/IPAM/Config/1", json!({ "Subnet": "fd00::/64" })),
            ("/Labels/team", json!("x")),
            ("/Options", json!({})),
            ("/Containers/c1/Name", json!("web")),
            ("/Containers/c1/IPv4Address", json!("10.1.0.2/24")),
            ("/Containers/c1/IPv6Address", json!("fd00::2/64")),
            ("/Containers/c1/MacAddress", json!("02:42:0a:01:00:02")),
            ("/Containers/p2/Name", json!("lone")),
            ("/Containers/p2/IPv4Address", json!("")),
        ] {
            assert_eq!(shown.pointer(path), Some(&expected), "{path}");
        }
    }

    #[test]
    fn a_container_has_its_networks_as_docker_shows_them() {
        let bare = NetworkMember { pod_id: "p1".into(), addresses: vec!["10.64.0.2".into()], ..Default::default() };
        let default = Network { id: "bridge".into(), name: "bridge".into(), members: vec![bare], ..Default::default() };
        let shown = settings(&[made(), default], "p1");
        for (path, expected) in [
            ("/Networks/back/NetworkID", json!("12ab")),
            ("/Networks/back/IPAddress", json!("10.1.0.2")),
            ("/Networks/back/IPPrefixLen", json!(24)),
            ("/Networks/back/Gateway", json!("10.1.0.1")),
            ("/Networks/back/GlobalIPv6Address", json!("fd00::2")),
            ("/Networks/back/GlobalIPv6PrefixLen", json!(64)),
            ("/Networks/back/IPv6Gateway", json!("")),
            ("/Networks/back/MacAddress", json!("02:42:0a:01:00:02")),
            ("/Networks/back/Aliases", json!(["web", "alias"])),
            ("/Networks/bridge/IPAddress", json!("10.64.0.2")),
            ("/Networks/bridge/IPPrefixLen", json!(32)),
            ("/Networks/bridge/GlobalIPv6PrefixLen", json!(0)),
        ] {
            assert_eq!(shown.pointer(path), Some(&expected), "{path}");
        }
        let only_ipv6 = settings(&[made()], "p2");
        assert_eq!(only_ipv6.pointer("/Networks/back/Gateway"), Some(&json!("")), "it has no IPv4");
        assert_eq!(settings(&[made()], "absent"), json!({ "Networks": {} }));
    }

    #[test]
    fn a_network_that_is_always_there_has_no_time_of_creation() {
        let host = Network { id: "host".into(), name: "host".into(), ..Default::default() };
        let shown = network(&host, &[]);
        assert_eq!((&shown["Created"], &shown["Containers"]), (&json!(ALWAYS), &json!({})));
    }
}
