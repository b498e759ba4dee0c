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
    let address = |ipv6: bool| member.addresses.iter().find(|address| address.contains(':') == ipv6);
    json!({
        "Name": name,
        "MacAddress": member.mac,
        "IPv4Address": address(false).map_or("", String::as_str),
        "IPv6Address": address(true).map_or("", String::as_str),
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
    fn a_network_that_is_always_there_has_no_time_of_creation() {
        let host = Network { id: "host".into(), name: "host".into(), ..Default::default() };
        let shown = network(&host, &[]);
        assert_eq!((&shown["Created"], &shown["Containers"]), (&json!(ALWAYS), &json!({})));
    }
}
