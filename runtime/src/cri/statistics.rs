// SPDX-License-Identifier: Apache-2.0
//! Calls about the resource usage of pods and containers. Each fails when the usage cannot be read.

use super::lists::whole;
use gorae_node::Node;
use gorae_node::error::Result;
use gorae_node::usage;
use gorae_proto::cri;
use std::sync::Arc;

/// ContainerStats.
///
/// # Errors
/// `NotFound`, and `InvalidArgument` for an empty or ambiguous id; those of [`usage::container`].
pub async fn of_container(
    node: &Arc<Node>,
    request: &cri::ContainerStatsRequest,
) -> Result<cri::ContainerStatsResponse> {
    let container = node.objects.containers.find(&request.container_id)?;
    let stats = usage::container(node.usage.clone(), container).await?;
    Ok(cri::ContainerStatsResponse { stats: Some(stats) })
}

/// PodSandboxStats.
///
/// # Errors
/// `NotFound`, and `InvalidArgument` for an empty or ambiguous id; those of [`usage::pod`].
pub async fn of_pod(node: &Arc<Node>, request: &cri::PodSandboxStatsRequest) -> Result<cri::PodSandboxStatsResponse> {
    let pod = node.objects.pods.find(&request.pod_sandbox_id)?;
    let stats = usage::pod(node.usage.clone(), pod).await?;
    Ok(cri::PodSandboxStatsResponse { stats: Some(stats) })
}

/// The items of ListContainerStats and StreamContainerStats.
///
/// # Errors
/// Those of [`usage::containers`].
pub async fn of_containers(
    node: &Arc<Node>,
    filter: Option<cri::ContainerStatsFilter>,
) -> Result<Vec<cri::ContainerStats>> {
    usage::containers(node.usage.clone(), filter.unwrap_or_default()).await
}

/// The items of ListPodSandboxStats and StreamPodSandboxStats.
///
/// # Errors
/// Those of [`usage::pods`].
pub async fn of_pods(
    node: &Arc<Node>,
    filter: Option<cri::PodSandboxStatsFilter>,
) -> Result<Vec<cri::PodSandboxStats>> {
    usage::pods(node.usage.clone(), filter.unwrap_or_default()).await
}

/// ListPodSandboxMetrics.
///
/// # Errors
/// Those of [`usage::metrics`]; `ResourceExhausted` when the response is larger than clients accept.
pub async fn metrics(node: &Arc<Node>) -> Result<cri::ListPodSandboxMetricsResponse> {
    let pod_metrics = usage::metrics(node.usage.clone()).await?;
    whole(cri::ListPodSandboxMetricsResponse { pod_metrics }, "StreamPodSandboxMetrics")
}
