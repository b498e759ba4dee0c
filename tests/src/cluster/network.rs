// SPDX-License-Identifier: Apache-2.0
//! What joins the pods of two nodes: goraed's own network or CNI plugins, and routes between the nodes.

use super::api::{Api, PATIENCE};
use super::node::ClusterNode;
use super::run::output;
use crate::place;
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The network of a cluster.
#[derive(Debug, Clone, Copy)]
pub enum Network {
    /// goraed's own, with the pod CIDRs that the controllers give to nodes.
    BuiltIn,
    /// The reference plugin `bridge`, with `host-local` and `portmap`.
    Bridge,
    /// The reference plugin `ptp`, with `host-local` and `portmap`.
    PointToPoint,
}

/// The programs of a network that run beside the nodes.
#[derive(Debug)]
pub struct Joined;

impl Network {
    /// TOML of goraed's configuration.
    #[must_use]
    pub fn of_daemon(self) -> &'static str {
        match self {
            // There are routes between the nodes, so pods are seen with their own addresses.
            Network::BuiltIn => "[network]\nmode = \"builtin\"\nmasquerade = false\n",
            Network::Bridge | Network::PointToPoint => "[network]\nmode = \"cni\"\n",
        }
    }

    /// Joins the pods of the nodes, as the agent of a network does: routes to the pods of the other node, plugins and their
    /// configuration.
    ///
    /// # Errors
    /// When a node gets no addresses for pods in time, or something cannot be installed.
    pub async fn join(self, nodes: &[ClusterNode], api: &Api) -> Result<Joined> {
        let mut subnets = Vec::new();
        for node in nodes {
            subnets.push(subnet(node, api).await?);
        }
        for (node, subnet) in nodes.iter().zip(&subnets) {
            let gateway = node.host().address().to_string();
            // The control plane is asked by pods, and answers them.
            output("ip", &["route", "add", subnet, "via", &gateway])?;
            for other in nodes.iter().filter(|other| other.name() != node.name()) {
                other.host().output(&["ip", "route", "add", subnet, "via", &gateway])?;
            }
            match self {
                Network::BuiltIn => {}
                Network::Bridge => install(node, &["bridge", "host-local", "portmap"], &list(&bridge(subnet)))?,
                Network::PointToPoint => install(node, &["ptp", "host-local", "portmap"], &list(&ptp(subnet)))?,
            }
        }
        Ok(Joined)
    }
}

impl Joined {
    /// Ends the programs of the network.
    ///
    /// # Errors
    /// When one has ended before, or takes too long.
    pub fn end(self) -> Result<()> {
        Ok(())
    }
}

/// The addresses that the controllers gave to a node for its pods.
async fn subnet(node: &ClusterNode, api: &Api) -> Result<String> {
    let path = format!("/api/v1/nodes/{}", node.name());
    let object =
        api.until(&path, "it has addresses for pods", PATIENCE, |node| node["spec"]["podCIDR"].is_string()).await?;
    object["spec"]["podCIDR"].as_str().map(str::to_owned).context("it is a string")
}

/// Installs plugins of `tests/tools/build.sh`, and then the configuration that names them.
fn install(node: &ClusterNode, plugins: &[&str], configuration: &Value) -> Result<()> {
    for plugin in plugins {
        std::fs::copy(place::tool(plugin), node.host().path("/opt/cni/bin").join(plugin))?;
    }
    let (new, file) = (node.host().path("/etc/cni/net.d/.new"), node.host().path("/etc/cni/net.d/10-cluster.conflist"));
    std::fs::write(&new, configuration.to_string())?;
    Ok(std::fs::rename(new, file)?)
}

fn list(first: &Value) -> Value {
    let ports = json!({"type": "portmap", "capabilities": {"portMappings": true}, "snat": true});
    json!({"cniVersion": "1.0.0", "name": "cluster", "plugins": [first, ports]})
}

fn addresses(subnet: &str) -> Value {
    json!({"type": "host-local", "ranges": [[{"subnet": subnet}]], "routes": [{"dst": "0.0.0.0/0"}]})
}

fn bridge(subnet: &str) -> Value {
    json!({"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipam": addresses(subnet)})
}

fn ptp(subnet: &str) -> Value {
    json!({"type": "ptp", "ipam": addresses(subnet)})
}
