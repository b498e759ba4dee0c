// SPDX-License-Identifier: Apache-2.0
//! RunPodSandbox on a node that fills up: the first pods beside the last ones, with a network of their own and with the node's.
//!
//! On a machine that does other things, the daemon's processor time says more than the time until the reply.

use super::pods::Pods;
use super::processes;
use super::summary::{Table, Times};
use anyhow::{Context, Result};
use gorae_proto::cri::{NamespaceMode, PodSandboxConfig};
use std::time::{Duration, Instant};

/// Pods of one sample.
const SAMPLE: usize = 20;

/// What one pod took.
struct Price {
    until_reply: Duration,
    daemon: Duration,
}

/// Fills the node with `count` pods that have no containers, removes them, and adds a line for each sample.
pub async fn measure(pods: &Pods<'_>, count: usize, table: &mut Table) -> Result<()> {
    table.head(&format!("RunPodSandbox, {count} pods, milliseconds"), "p50", "p95");
    for (name, mode) in [("own network", NamespaceMode::Pod), ("host network", NamespaceMode::Node)] {
        // The first pods of a daemon find its caches empty.
        fill(pods, SAMPLE, mode).await?;
        let times = fill(pods, count, mode).await?;
        for first in [0, count.saturating_sub(SAMPLE)] {
            let (mut reply, mut daemon) = (Times::default(), Times::default());
            for price in times.iter().skip(first).take(SAMPLE) {
                reply.add(price.until_reply);
                daemon.add(price.daemon);
            }
            table.times(&format!("{name}, from pod {}", first + 1), &reply);
            table.times("  the daemon's processor time", &daemon);
        }
    }
    Ok(())
}

async fn fill(pods: &Pods<'_>, count: usize, mode: NamespaceMode) -> Result<Vec<Price>> {
    let (mut made, mut times) = (Vec::new(), Vec::new());
    for number in 1..=count {
        let config = with_network(pods.config()?, mode);
        let spent = || processes::cpu(&[pods.target.daemon()]);
        let (before, begun) = (spent(), Instant::now());
        made.push(pods.run(&config).await.with_context(|| format!("pod {number} of {count}"))?);
        times.push(Price { until_reply: begun.elapsed(), daemon: spent().saturating_sub(before) });
    }
    for pod in &made {
        pods.target.cri().clear_pod(pod).await.with_context(|| format!("remove pod {pod}"))?;
    }
    // The kernel removes the namespaces afterwards.
    tokio::time::sleep(Duration::from_millis(3_000 + 30 * count as u64)).await;
    Ok(times)
}

fn with_network(mut config: PodSandboxConfig, mode: NamespaceMode) -> PodSandboxConfig {
    let context = config.linux.as_mut().and_then(|linux| linux.security_context.as_mut());
    if let Some(options) = context.and_then(|context| context.namespace_options.as_mut()) {
        options.network = mode.into();
    }
    if mode == NamespaceMode::Node {
        config.hostname.clear();
    }
    config
}
