// SPDX-License-Identifier: Apache-2.0
//! A list while one container hangs in its stop and one in its start: both wait for file systems that do not answer.

use super::calls::{Outcome, time};
use super::pods::Pods;
use anyhow::{Context, Result, ensure};
use gorae_proto::cri::{
    ContainerConfig, CreateContainerRequest, ListContainersRequest, Mount, PodSandboxConfig, StartContainerRequest,
    StopContainerRequest,
};
use gorae_tests::hung_disk::HungDisk;
use std::time::{Duration, Instant};

/// How long something may take until it hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Times ListContainers `count` times while both hang, and lets go of them.
pub async fn measure(pods: &Pods<'_>, count: usize) -> Result<Outcome> {
    let (logs, sources) = (HungDisk::mount()?, HungDisk::mount()?);
    let config = pods.config()?;
    let of_logs = PodSandboxConfig { log_directory: logs.path().display().to_string(), ..pods.config()? };
    let loud = ContainerConfig { command: ["/tiny", "tick", "2"].map(str::to_owned).into(), ..pods.container() };
    let source = sources.path().join("source");
    std::fs::write(&source, "")?;
    let mut waits = pods.container();
    let (container_path, host_path) = ("/source".to_owned(), source.display().to_string());
    waits.mounts.push(Mount { container_path, host_path, ..Mount::default() });

    let stops = create(pods, &of_logs, loud).await?;
    pods.start(&stops.1).await?;
    let starts = create(pods, &config, waits).await?;
    logs.hang();
    sources.hang();
    let (mut stopping, mut starting) = (pods.target.cri().runtime(), pods.target.cri().runtime());
    let (stop, start) = (stops.1.clone(), starts.1.clone());
    let start =
        tokio::spawn(
            async move { starting.start_container(StartContainerRequest { container_id: start }).await.map(drop) },
        );
    hangs(&logs).await?;
    hangs(&sources).await?;
    let stop = tokio::spawn(async move {
        stopping.stop_container(StopContainerRequest { container_id: stop, timeout: 0 }).await.map(drop)
    });
    let list = async || pods.target.cri().runtime().list_containers(ListContainersRequest::default()).await.map(drop);
    let outcome = time("ListContainers, two of them hang", count, list).await;
    ensure!(!stop.is_finished() && !start.is_finished(), "one of them did not hang as long as was measured");
    logs.come_back();
    sources.come_back();
    let _ = (stop.await, start.await);
    for pod in [stops.0, starts.0] {
        pods.target.cri().clear_pod(&pod).await.context("remove a pod that hung")?;
    }
    Ok(outcome)
}

async fn create(pods: &Pods<'_>, pod: &PodSandboxConfig, container: ContainerConfig) -> Result<(String, String)> {
    let id = pods.run(pod).await?;
    let request = CreateContainerRequest {
        pod_sandbox_id: id.clone(),
        config: Some(container),
        sandbox_config: Some(pod.clone()),
    };
    let answer = pods.target.cri().runtime().create_container(request).await.context("CreateContainer")?;
    Ok((id, answer.into_inner().container_id))
}

async fn hangs(disk: &HungDisk) -> Result<()> {
    let begun = Instant::now();
    while disk.waiting() == 0 {
        ensure!(begun.elapsed() < PATIENCE, "nobody waits for {}", disk.path().display());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
