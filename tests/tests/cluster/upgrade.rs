// SPDX-License-Identifier: Apache-2.0
//! The upgrade of goraed on both nodes, one after the other, while requests go on: it is killed, and the daemon of another
//! directory takes over, with a newer shim.

use super::load::Load;
use super::workload::{self, PODS, Pod};
use anyhow::{Context, Result, ensure};
use gorae_tests::cluster::api::items;
use gorae_tests::cluster::{Cluster, ClusterNode};
use gorae_tests::place;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a node has no goraed.
const AWAY: Duration = Duration::from_secs(3);
/// How long requests go on before and after.
const MARGIN: Duration = Duration::from_secs(2);

/// Replaces the daemon of each node; no request may be lost, and no container may be another one afterwards.
pub async fn both_nodes(cluster: &Cluster, pods: &[Pod]) -> Result<()> {
    let upgraded = install(&cluster.home().join("upgraded"))?;
    let before = containers(cluster).await?;
    let load = Load::start(cluster, pods).await?;
    for node in cluster.nodes() {
        tokio::time::sleep(MARGIN).await;
        one_node(node, &upgraded).await?;
        cluster.until_nodes_ready().await?;
        tokio::time::sleep(MARGIN).await;
    }
    for (target, count) in load.end().await? {
        count.none_is_lost(&target)?;
    }
    let after = containers(cluster).await?;
    ensure!(before == after, "containers were replaced or restarted: {before:#?} became {after:#?}");
    Ok(())
}

async fn one_node(node: &ClusterNode, upgraded: &Path) -> Result<()> {
    let old = node.daemon().pid().context("goraed runs")?;
    node.daemon().kill();
    tokio::time::sleep(AWAY).await;
    let begun = Instant::now();
    node.upgrade(upgraded).await?;
    println!(
        "          goraed of {} answers again {:.2} s after its start",
        node.name(),
        begun.elapsed().as_secs_f64()
    );
    let new = node.daemon().pid().context("goraed runs")?;
    let program = std::fs::read_link(format!("/proc/{new}/exe"))?;
    ensure!(new != old && program == upgraded.join("goraed"), "goraed of {} is {}", node.name(), program.display());
    Ok(())
}

/// A pod of the service on each node is replaced by one that the new daemon makes, with the new shim.
pub async fn replaced_pods(cluster: &Cluster) -> Result<Vec<Pod>> {
    let old: Vec<_> = workload::ready(cluster).await?.into_iter().filter(|pod| pod.app == "web").collect();
    for pod in &old {
        cluster.api().delete(&format!("{PODS}/{}", pod.name)).await?;
    }
    let gone = |list: &Value| {
        !items(list).iter().any(|item| old.iter().any(|pod| item["metadata"]["name"] == pod.name.as_str()))
    };
    cluster.api().until(PODS, "the old pods are gone", gorae_tests::cluster::PATIENCE, gone).await?;
    workload::ready(cluster).await
}

/// Copies this build into a directory, as a package of another version would be.
fn install(directory: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(directory)?;
    for name in ["goraed", "gorae-shim"] {
        std::fs::copy(place::binary(name), directory.join(name)).with_context(|| format!("copy {name}"))?;
    }
    Ok(directory.canonicalize()?)
}

/// The containers of all pods of the cluster: their ids and how often they were restarted.
async fn containers(cluster: &Cluster) -> Result<Vec<String>> {
    let list = cluster.api().get("/api/v1/pods").await?;
    let statuses = items(&list).iter().filter_map(|pod| pod["status"]["containerStatuses"].as_array()).flatten();
    let line = |status: &Value| format!("{} {} {}", status["name"], status["containerID"], status["restartCount"]);
    let mut all: Vec<_> = statuses.map(line).collect();
    all.sort();
    Ok(all)
}
