// SPDX-License-Identifier: Apache-2.0
//! Requests that go on: from a pod on each node to the service by its name, and from another machine to each pod and each port
//! of a node.

use super::workload::{HOST_PORT, NODE_PORT, PAGE, PORT, Pod};
use anyhow::{Context, Result, ensure};
use gorae_tests::cluster::Cluster;
use gorae_tests::web;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Between two requests of one client.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest wait for a pod that asks to notice that it is enough.
const END: Duration = Duration::from_secs(20);

/// The clients.
pub struct Load<'a> {
    cluster: &'a Cluster,
    askers: Vec<Pod>,
    enough: Arc<AtomicBool>,
    tasks: Vec<(String, JoinHandle<Count>)>,
}

/// How many requests there were, and what went wrong with those that were lost.
#[derive(Debug, Default)]
pub struct Count {
    asked: usize,
    lost: Vec<String>,
}

impl<'a> Load<'a> {
    /// Starts all clients, and waits until each of them has been answered.
    pub async fn start(cluster: &'a Cluster, pods: &[Pod]) -> Result<Load<'a>> {
        let askers = pods.iter().filter(|pod| pod.app == "asker").cloned().collect();
        let mut load = Load { cluster, askers, enough: Arc::default(), tasks: Vec::new() };
        let mut targets = Vec::new();
        for node in cluster.nodes() {
            targets.extend([NODE_PORT, HOST_PORT].map(|port| format!("{}:{port}", node.host().address())));
        }
        targets.extend(pods.iter().filter(|pod| pod.app == "web").map(|pod| format!("{}:{PORT}", pod.address)));
        for target in targets {
            let task = tokio::spawn(ask(target.clone(), Arc::clone(&load.enough)));
            load.tasks.push((target, task));
        }
        for asker in &load.askers {
            load.exec(asker, &["touch", "/tmp/begin"]).await?;
        }
        load.until("each asker has counted", "/tmp/count").await?;
        Ok(load)
    }

    /// Ends all clients and returns what each of them counted.
    pub async fn end(self) -> Result<Vec<(String, Count)>> {
        self.enough.store(true, Ordering::Relaxed);
        for asker in &self.askers {
            self.exec(asker, &["touch", "/tmp/enough"]).await?;
        }
        self.until("each asker has ended", "/tmp/done").await?;
        let mut counts = Vec::new();
        for asker in &self.askers {
            let said = self.exec(asker, &["cat", "/tmp/count"]).await?;
            let (asked, lost) = said.trim().split_once(' ').with_context(|| format!("two numbers in {said:?}"))?;
            let lost = vec![format!("see the log of {}", asker.name); lost.parse()?];
            counts.push((format!("http://web from {}", asker.node), Count { asked: asked.parse()?, lost }));
        }
        for (target, task) in self.tasks {
            counts.push((target, task.await?));
        }
        Ok(counts)
    }

    async fn exec(&self, pod: &Pod, command: &[&str]) -> Result<String> {
        let node = self.cluster.nodes().iter().find(|node| node.name() == pod.node).context("a node of the cluster")?;
        let (said, code) = node.exec(&pod.name, command).await?;
        ensure!(code == 0, "{command:?} in {} ends with {code}: {said}", pod.name);
        Ok(said)
    }

    async fn until(&self, what: &str, file: &str) -> Result<()> {
        let begun = Instant::now();
        for asker in &self.askers {
            while let Err(error) = self.exec(asker, &["test", "-e", file]).await {
                ensure!(begun.elapsed() < END, "waited {END:?} until {what}: {error:#}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }
}

impl Count {
    /// Fails when a request was lost, or hardly any was made.
    pub fn none_is_lost(&self, target: &str) -> Result<()> {
        println!("          {target}: {} requests, {} lost", self.asked, self.lost.len());
        ensure!(
            self.lost.is_empty(),
            "{target}: {} of {} requests are lost: {:?}",
            self.lost.len(),
            self.asked,
            self.lost
        );
        ensure!(self.asked >= 20, "{target}: only {} requests were made", self.asked);
        Ok(())
    }
}

/// Asks one target again and again.
async fn ask(target: String, enough: Arc<AtomicBool>) -> Count {
    let mut count = Count::default();
    while !enough.load(Ordering::Relaxed) {
        count.asked += 1;
        match web::get(&target, PAGE).await {
            Ok((200, _)) => {}
            Ok((status, _)) => count.lost.push(format!("request {}: status {status}", count.asked)),
            Err(error) => count.lost.push(format!("request {}: {error:#}", count.asked)),
        }
        tokio::time::sleep(PAUSE).await;
    }
    count
}
