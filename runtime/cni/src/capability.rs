// SPDX-License-Identifier: Apache-2.0
//! Values that plugins get when their configuration asks for them. Source: CNI conventions, and the peers' runtimes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The key of mapped host ports.
pub const PORT_MAPPINGS: &str = "portMappings";

/// The values of one attachment, by their keys.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capabilities(Map<String, Value>);

/// A host port that leads to a port of the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMapping {
    /// Port of the node.
    pub host_port: u16,
    /// Port of the pod.
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: &'static str,
    /// The address of the node; `None`: all.
    pub host_ip: Option<IpAddr>,
}

/// The rate and the burst of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Bits per second.
    pub rate: u64,
    /// Bits.
    pub burst: u64,
}

impl Capabilities {
    /// Adds mapped ports; none when there are none.
    pub fn port_mappings(&mut self, ports: &[PortMapping]) {
        let one = |port: &PortMapping| {
            json!({
                "hostPort": port.host_port,
                "containerPort": port.container_port,
                "protocol": port.protocol,
                "hostIP": port.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            })
        };
        if !ports.is_empty() {
            self.set(PORT_MAPPINGS, ports.iter().map(one).collect());
        }
    }

    /// Adds limits of the bandwidth towards and from the pod.
    pub fn bandwidth(&mut self, ingress: Option<Shape>, egress: Option<Shape>) {
        let mut value = Map::new();
        for (name, shape) in [("ingress", ingress), ("egress", egress)] {
            if let Some(Shape { rate, burst }) = shape {
                value.insert(format!("{name}Rate"), rate.into());
                value.insert(format!("{name}Burst"), burst.into());
            }
        }
        if !value.is_empty() {
            self.set("bandwidth", value.into());
        }
    }

    /// Adds the pod's resolver settings.
    pub fn dns(&mut self, servers: &[String], searches: &[String], options: &[String]) {
        if !(servers.is_empty() && searches.is_empty() && options.is_empty()) {
            self.set("dns", json!({"servers": servers, "searches": searches, "options": options}));
        }
    }

    /// Adds the pod's cgroup, as the client gave it.
    pub fn cgroup_path(&mut self, path: &str) {
        if !path.is_empty() {
            self.set("cgroupPath", path.into());
        }
    }

    /// Adds the pod's annotations.
    pub fn annotations(&mut self, annotations: &BTreeMap<String, String>) {
        if !annotations.is_empty() {
            self.set("io.kubernetes.cri.pod-annotations", json!(annotations));
        }
    }

    fn set(&mut self, key: &str, value: Value) {
        self.0.insert(key.to_owned(), value);
    }

    /// The values that a plugin asks for: its `runtimeConfig`. `None` when there are none.
    pub fn wanted(&self, wants: impl Fn(&str) -> bool) -> Option<Map<String, Value>> {
        let all: Map<_, _> = self.0.iter().filter(|(key, _)| wants(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
        (!all.is_empty()).then_some(all)
    }
}
