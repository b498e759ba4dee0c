// SPDX-License-Identifier: Apache-2.0
//! Creating a pod and a container in it, and starting the container.

use crate::client::Client;
use crate::failure::refused;
use crate::run_spec::RunSpec;
use crate::{cri_config, labels, pod_network, port_holder, removal};
use anyhow::{Context, Result, bail};
use gorae_proto::cri;
use gorae_proto::gorae::{PodNetworkSettings, RunPodRequest};

/// Creates a pod and its container, and undoes both when either fails.
///
/// # Errors
/// When the daemon refuses, or another `run` took the name at the same moment. A failed undo is part of the error.
pub async fn create(client: &Client, spec: &RunSpec) -> Result<cri::Container> {
    let config = cri_config::pod(spec);
    let logs = config.log_directory.clone();
    let created = create_in_new_pod(client, spec, config).await;
    if created.is_err() {
        // The daemon may have made the log directory already. Only an empty one goes.
        drop(std::fs::remove_dir(logs));
    }
    created
}

async fn create_in_new_pod(client: &Client, spec: &RunSpec, config: cri::PodSandboxConfig) -> Result<cri::Container> {
    let network = pod_network::settings(spec);
    let pod = run_pod(client, &spec.name, config.clone(), network).await?;
    let created = match create_container(client, &pod, cri_config::container(spec), config).await {
        Ok(id) => the_only_one(client, &id, &spec.name).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(container) => Ok(container),
        Err(error) => match removal::remove_pod(client, &pod).await {
            Ok(()) => Err(error),
            Err(undo) => Err(error.context(format!("its pod could not be removed either ({undo:#})"))),
        },
    }
}

/// Creates a pod for the container of this name and returns the pod's id. With `network`, Gorae's own service is asked, else
/// the CRI's, so that any runtime can do it.
///
/// # Errors
/// When the daemon refuses. If another pod holds a host port, the error names that pod's container.
pub async fn run_pod(
    client: &Client,
    name: &str,
    config: cri::PodSandboxConfig,
    network: Option<PodNetworkSettings>,
) -> Result<String> {
    let id = match network {
        Some(network) => {
            let request = RunPodRequest { config: Some(config), network: Some(network) };
            client.own_pods().run_pod(request).await.map(|answer| answer.into_inner().pod_id)
        }
        None => {
            let request = cri::RunPodSandboxRequest { config: Some(config), ..Default::default() };
            client.runtime().run_pod_sandbox(request).await.map(|answer| answer.into_inner().pod_sandbox_id)
        }
    };
    match id.map_err(refused(|| format!("create the pod of {name}"))) {
        Ok(id) => Ok(id),
        Err(error) => Err(port_holder::name_the_holder(client, error).await),
    }
}

/// Returns the container with this id unless an older one has the same name: of two runs at the same moment, the first
/// one wins.
async fn the_only_one(client: &Client, id: &str, name: &str) -> Result<cri::Container> {
    let containers = client.containers().await?;
    let mine =
        containers.iter().find(|c| c.id == id).context("the container disappeared right after it was created")?;
    let older = |c: &&cri::Container| {
        labels::name(&c.labels) == Some(name) && (c.created_at, &c.id) < (mine.created_at, &mine.id)
    };
    match containers.iter().find(older) {
        Some(other) => bail!("the name {name:?} was just taken by container {:.12}: choose another name", other.id),
        None => Ok(mine.clone()),
    }
}

/// Creates a container in a pod and returns the container's id.
///
/// # Errors
/// When the daemon refuses.
pub async fn create_container(
    client: &Client,
    pod: &str,
    config: cri::ContainerConfig,
    pod_config: cri::PodSandboxConfig,
) -> Result<String> {
    let name = config.metadata.as_ref().map(|metadata| metadata.name.clone()).unwrap_or_default();
    let (config, sandbox_config) = (Some(config), Some(pod_config));
    let request = cri::CreateContainerRequest { pod_sandbox_id: pod.to_owned(), config, sandbox_config };
    let answer = client.runtime().create_container(request).await;
    Ok(answer.map_err(refused(|| format!("create container {name}")))?.into_inner().container_id)
}

/// Starts a created container.
///
/// # Errors
/// When the daemon refuses.
pub async fn start_container(client: &Client, name: &str, id: &str) -> Result<()> {
    let request = cri::StartContainerRequest { container_id: id.to_owned() };
    client.runtime().start_container(request).await.map_err(refused(|| format!("start container {name}")))?;
    Ok(())
}
