// SPDX-License-Identifier: Apache-2.0
//! Who reaches whom: pods, node hosts and another machine; pods by their addresses, services by name and address, and ports of
//! nodes.

use super::workload::{HOST_PORT, NODE_PORT, PAGE, PORT, Pod};
use anyhow::{Context, Result, ensure};
use gorae_tests::cluster::{Cluster, ClusterNode};
use gorae_tests::{place, web};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How often a service is asked until both of its pods have answered: by chance alone, one answers so often once in 2^39 runs.
const TRIES: usize = 40;

/// Longest wait until kube-proxy and CoreDNS of each node have heard of what the API server knows.
const NEWS: Duration = Duration::from_secs(30);

/// Waits until the service is known on each node with both of its pods, and then checks everything once.
pub async fn everything(cluster: &Cluster, pods: &[Pod]) -> Result<()> {
    let begun = Instant::now();
    while let Err(error) = service_is_known(cluster, pods).await {
        ensure!(begun.elapsed() < NEWS, "after {NEWS:?}: {error:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    everybody(cluster, pods).await
}

async fn service_is_known(cluster: &Cluster, pods: &[Pod]) -> Result<()> {
    for node in cluster.nodes() {
        balanced(&Source::Pod(node, asker(node, pods)?), "web", 80, pods).await?;
    }
    Ok(())
}

fn asker<'a>(node: &ClusterNode, pods: &'a [Pod]) -> Result<&'a str> {
    let asker = pods.iter().find(|pod| pod.app == "asker" && pod.node == node.name());
    asker.map(|pod| pod.name.as_str()).context("each node has a pod that asks")
}

async fn everybody(cluster: &Cluster, pods: &[Pod]) -> Result<()> {
    for node in cluster.nodes() {
        let from = Source::Pod(node, asker(node, pods)?);
        by_address(&from, pods).await.with_context(|| format!("from a pod on {}", node.name()))?;
        for name in ["web", "web.default.svc.cluster.local"] {
            balanced(&from, name, 80, pods).await.with_context(|| format!("from a pod on {}", node.name()))?;
        }
        ports(cluster, &from, pods).await.with_context(|| format!("from a pod on {}", node.name()))?;
        let from = Source::Host(node);
        by_address(&from, pods).await.with_context(|| format!("from {} itself", node.name()))?;
        balanced(&from, &service(cluster).await?, 80, pods)
            .await
            .with_context(|| format!("from {} itself", node.name()))?;
        ports(cluster, &from, pods).await.with_context(|| format!("from {} itself", node.name()))?;
    }
    by_address(&Source::Outside, pods).await.context("from another machine")?;
    ports(cluster, &Source::Outside, pods).await.context("from another machine")
}

/// Who asks.
enum Source<'a> {
    /// A pod of this name on a node.
    Pod(&'a ClusterNode, &'a str),
    /// A node itself.
    Host(&'a ClusterNode),
    /// The test, on another machine of the link.
    Outside,
}

impl Source<'_> {
    /// The page of a server: the name of the pod that answers.
    async fn ask(&self, server: &str, port: u16) -> Result<String> {
        let address = format!("{server}:{port}");
        let url = format!("http://{address}{PAGE}");
        let words = ["timeout", "5", "wget", "-q", "-O", "-", url.as_str()];
        let answer = match self {
            Source::Outside => {
                let (status, page) = web::get(&address, PAGE).await?;
                ensure!(status == 200, "{url} answers with {status}");
                page
            }
            Source::Host(node) => {
                let busybox = place::build().join("busybox-static/bin/busybox").display().to_string();
                node.host().output(&[&[busybox.as_str()], &words[..]].concat())?
            }
            Source::Pod(node, pod) => {
                let (said, code) = node.exec(pod, &words).await?;
                ensure!(code == 0, "wget {url} ends with {code}: {said}");
                said
            }
        };
        Ok(answer.trim().to_owned())
    }
}

/// Each pod by its own address.
async fn by_address(from: &Source<'_>, pods: &[Pod]) -> Result<()> {
    for pod in pods.iter().filter(|pod| pod.app != "asker") {
        let name = from.ask(&pod.address, PORT).await.with_context(|| format!("ask {} on {}", pod.name, pod.node))?;
        ensure!(name == pod.name, "{} of {} answers as {name}", pod.address, pod.name);
    }
    Ok(())
}

/// The service at an address, until both of its pods have answered, and none but those.
async fn balanced(from: &Source<'_>, server: &str, port: u16, pods: &[Pod]) -> Result<()> {
    let expected: BTreeSet<_> = pods.iter().filter(|pod| pod.app == "web").map(|pod| pod.name.clone()).collect();
    let mut seen = BTreeSet::new();
    for _ in 0..TRIES {
        seen.insert(from.ask(server, port).await.with_context(|| format!("ask the service at {server}:{port}"))?);
        if seen == expected {
            return Ok(());
        }
    }
    anyhow::bail!("the service at {server}:{port} is answered by {seen:?}, not by {expected:?}")
}

/// The ports of each node: the service's, and that of the pod on the node.
async fn ports(cluster: &Cluster, from: &Source<'_>, pods: &[Pod]) -> Result<()> {
    for node in cluster.nodes() {
        let address = node.host().address().to_string();
        balanced(from, &address, NODE_PORT, pods).await?;
        let direct = pods.iter().find(|pod| pod.app == "direct" && pod.node == node.name()).context("a direct pod")?;
        let name =
            from.ask(&address, HOST_PORT).await.with_context(|| format!("ask the host port of {}", node.name()))?;
        ensure!(name == direct.name, "the host port of {} is answered by {name}, not by {}", node.name(), direct.name);
    }
    Ok(())
}

/// The address of the service.
async fn service(cluster: &Cluster) -> Result<String> {
    let service = cluster.api().get("/api/v1/namespaces/default/services/web").await?;
    service["spec"]["clusterIP"].as_str().map(str::to_owned).context("the service has an address")
}
