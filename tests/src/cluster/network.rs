// SPDX-License-Identifier: Apache-2.0
//! What joins the pods of two nodes: goraed's own network or CNI plugins with routes between the nodes, or flannel.

use super::api::{Api, PATIENCE};
use super::control::PODS;
use super::keys::{ADMIN, Keys};
use super::node::ClusterNode;
use super::run::{Running, output};
use crate::place;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longest end of an agent.
const END: Duration = Duration::from_secs(15);

/// The network of a cluster.
#[derive(Debug, Clone, Copy)]
pub enum Network {
    /// goraed's own, with the pod CIDRs that the controllers give to nodes.
    BuiltIn,
    /// The reference plugin `bridge`, with `host-local` and `portmap`.
    Bridge,
    /// The reference plugin `ptp`, with `host-local` and `portmap`.
    PointToPoint,
    /// flanneld on each node with VXLAN between them, and its plugin with `bridge`, `host-local` and `portmap`.
    Flannel,
}

/// The programs of a network that run beside the nodes.
#[derive(Debug)]
pub struct Joined {
    agents: Vec<Running>,
}

impl Network {
    /// TOML of goraed's configuration.
    #[must_use]
    pub fn of_daemon(self) -> &'static str {
        match self {
            // There are routes between the nodes, so pods are seen with their own addresses.
            Network::BuiltIn => "[network]\nmode = \"builtin\"\nmasquerade = false\n",
            Network::Bridge | Network::PointToPoint | Network::Flannel => "[network]\nmode = \"cni\"\n",
        }
    }

    /// Joins the pods of the nodes: starts the agents of the network, or does what they would do.
    ///
    /// # Errors
    /// When a node gets no addresses for pods in time, or something cannot be installed.
    pub async fn join(self, nodes: &[ClusterNode], api: &Api, keys: &Keys) -> Result<Joined> {
        let mut joined = Joined { agents: Vec::new() };
        for node in nodes {
            let subnet = subnet(node, api).await?;
            // The control plane is asked by pods, and answers them.
            route(&subnet, node, |command| output("ip", &command[1..]))?;
            if !matches!(self, Network::Flannel) {
                for other in nodes.iter().filter(|other| other.name() != node.name()) {
                    route(&subnet, node, |command| other.host().output(command))?;
                }
            }
            match self {
                Network::BuiltIn => {}
                Network::Bridge => install(node, &[place::tool("bridge")], &bridge(&subnet))?,
                Network::PointToPoint => install(node, &[place::tool("ptp")], &ptp(&subnet))?,
                Network::Flannel => joined.agents.push(flannel(node, keys).await?),
            }
        }
        Ok(joined)
    }
}

impl Joined {
    /// Ends the agents of the network.
    ///
    /// # Errors
    /// When one has ended before, or takes too long.
    pub fn end(mut self) -> Result<()> {
        self.agents.iter_mut().try_for_each(Running::is_up).context("the network did not last")?;
        self.agents.iter_mut().try_for_each(|agent| agent.terminate(END))
    }
}

/// Adds the route to the pods of a node, where `run` runs commands.
fn route(subnet: &str, to: &ClusterNode, run: impl Fn(&[&str]) -> Result<String>) -> Result<()> {
    run(&["ip", "route", "add", subnet, "via", &to.host().address().to_string()]).map(drop)
}

/// Starts flanneld, waits until it has said which addresses the node's pods have, and installs its plugin.
async fn flannel(node: &ClusterNode, keys: &Keys) -> Result<Running> {
    let (config, subnet) = (node.home().join("flannel.json"), node.home().join("subnet.env"));
    std::fs::write(&config, json!({"Network": PODS, "Backend": {"Type": "vxlan"}}).to_string())?;
    let words = [
        "--kube-subnet-mgr".to_owned(),
        format!("--kubeconfig-file={}", keys.kubeconfig(ADMIN.token)),
        format!("--net-config-path={}", config.display()),
        format!("--subnet-file={}", subnet.display()),
        "--iface=eth0".to_owned(),
        "--ip-masq".to_owned(),
    ];
    let mut agent = node.host().start(&place::cluster_tool("flanneld"), &words, node.home())?;
    let begun = Instant::now();
    while !subnet.exists() {
        agent.is_up()?;
        ensure!(begun.elapsed() < PATIENCE, "flanneld of {} says nothing: {}", node.name(), agent.last_words());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let delegate = json!({"hairpinMode": true, "isDefaultGateway": true});
    let plugin = json!({"type": "flannel", "subnetFile": subnet, "delegate": delegate});
    install(node, &[place::cluster_tool("flannel"), place::tool("bridge")], &plugin)?;
    Ok(agent)
}

/// The addresses that the controllers gave to a node for its pods.
async fn subnet(node: &ClusterNode, api: &Api) -> Result<String> {
    let path = format!("/api/v1/nodes/{}", node.name());
    let object =
        api.until(&path, "it has addresses for pods", PATIENCE, |node| node["spec"]["podCIDR"].is_string()).await?;
    object["spec"]["podCIDR"].as_str().map(str::to_owned).context("it is a string")
}

/// Installs plugins beside `host-local` and `portmap`, and then the configuration whose first plugin this is.
fn install(node: &ClusterNode, plugins: &[PathBuf], first: &Value) -> Result<()> {
    let directory = node.host().path("/opt/cni/bin");
    for plugin in plugins.iter().chain(&[place::tool("host-local"), place::tool("portmap")]) {
        let name = plugin.file_name().context("a plugin has a name")?;
        std::fs::copy(plugin, directory.join(name)).with_context(|| format!("copy {}", plugin.display()))?;
    }
    let ports = json!({"type": "portmap", "capabilities": {"portMappings": true}, "snat": true});
    // flannel's plugin knows no later version.
    let version = if first["type"] == "flannel" { "0.4.0" } else { "1.0.0" };
    let list = json!({"cniVersion": version, "name": "cluster", "plugins": [first, ports]});
    let (new, file) = (node.host().path("/etc/cni/net.d/.new"), node.host().path("/etc/cni/net.d/10-cluster.conflist"));
    std::fs::write(&new, list.to_string())?;
    Ok(std::fs::rename(new, file)?)
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
