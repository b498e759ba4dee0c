// SPDX-License-Identifier: Apache-2.0
//! The network of the next attempt of a pod, when its container is started again.

use crate::client::Client;
use crate::{labels, lookup, networks, removal};
use anyhow::{Context as _, Result};
use gorae_proto::cri;
use gorae_proto::gorae::PodNetworkSettings;
use gorae_proto::gorae::pod_network_settings::Kind;

/// What the next attempt of a pod has besides its configuration. `config` is that of its container.
///
/// The old pod is stopped for good: it may hold addresses that the next one is to have.
///
/// # Errors
/// When the daemon refuses, or the container whose network is to be shared does not exist.
pub async fn network(
    client: &Client,
    name: &str,
    old_pod: &str,
    config: &cri::ContainerConfig,
) -> Result<Option<PodNetworkSettings>> {
    let of_old = networks::of_pod(client, old_pod).await?;
    let network = match shared_network(client, name, config).await? {
        Some(shared) => Some(PodNetworkSettings { kind: Some(shared), ..of_old.unwrap_or_default() }),
        None => of_old,
    };
    if network.is_some() {
        removal::stop_pod(client, old_pod).await?;
    }
    Ok(network)
}

/// Whether a pod is in the network of another one that is not that container's any more, because it was started again.
///
/// # Errors
/// As [`network`].
pub async fn lost_network(client: &Client, name: &str, pod: &str, config: &cri::ContainerConfig) -> Result<bool> {
    let Some(shared) = shared_network(client, name, config).await? else { return Ok(false) };
    Ok(networks::of_pod(client, pod).await?.and_then(|network| network.kind) != Some(shared))
}

/// The network of the container that this one shares it with; `None` for a container with a network of its own.
async fn shared_network(client: &Client, name: &str, config: &cri::ContainerConfig) -> Result<Option<Kind>> {
    let Some(other) = config.annotations.get(labels::NETWORK_OF) else { return Ok(None) };
    let tried = || format!("find the container whose network {name} shares");
    let other = lookup::container(client, other).await.with_context(tried)?;
    Ok(Some(Kind::OfPod(other.pod_sandbox_id)))
}
