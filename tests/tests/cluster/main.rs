// SPDX-License-Identifier: Apache-2.0
//! Two nodes of one cluster: their pods reach each other, services by name, and ports of the nodes, and none of the requests
//! that go on meanwhile is lost when a node's goraed is killed and replaced. `make cluster` runs it.

mod load;
mod reach;
mod upgrade;
mod workload;

use anyhow::Result;
use gorae_tests::cluster::{Cluster, Network, Proxy, on_a_cluster};

/// What every cluster has to do, whatever joins its pods.
async fn serves_and_survives(cluster: &Cluster) -> Result<()> {
    let pods = workload::run(cluster).await?;
    reach::everything(cluster, &pods).await?;
    upgrade::both_nodes(cluster, &pods).await?;
    let pods = upgrade::replaced_pods(cluster).await?;
    reach::everything(cluster, &pods).await
}

#[test]
fn two_nodes_with_a_bridge_plugin_and_iptables_are_one_cluster() {
    on_a_cluster(Network::Bridge, Proxy::Iptables, serves_and_survives);
}

#[test]
fn two_nodes_with_a_point_to_point_plugin_and_nftables_are_one_cluster() {
    on_a_cluster(Network::PointToPoint, Proxy::Nftables, serves_and_survives);
}

#[test]
fn two_nodes_with_the_built_in_network_and_iptables_are_one_cluster() {
    on_a_cluster(Network::BuiltIn, Proxy::Iptables, serves_and_survives);
}

#[test]
fn two_nodes_with_the_built_in_network_and_nftables_are_one_cluster() {
    on_a_cluster(Network::BuiltIn, Proxy::Nftables, serves_and_survives);
}

#[test]
fn two_nodes_with_flannel_and_iptables_are_one_cluster() {
    on_a_cluster(Network::Flannel, Proxy::Iptables, serves_and_survives);
}

#[test]
fn two_nodes_with_flannel_and_nftables_are_one_cluster() {
    on_a_cluster(Network::Flannel, Proxy::Nftables, serves_and_survives);
}
