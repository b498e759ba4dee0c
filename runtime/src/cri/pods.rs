// SPDX-License-Identifier: Apache-2.0
//! Calls about pods. Each finds its pod and runs the verb; it fails as the verb does, or when the pod does not exist.

use super::verbs::{allow_absent, to_completion};
use gorae_node::error::{Error, Result};
use gorae_node::pod::{self, Pod};
use gorae_node::{Node, container, unique_ns};
use gorae_proto::cri;
use std::collections::HashMap;
use std::sync::Arc;

/// RunPodSandbox. It runs to completion in an operation that repeated requests join.
///
/// # Errors
/// `InvalidArgument` without a config; those of [`pod::run::run`].
pub async fn run(node: &Arc<Node>, request: cri::RunPodSandboxRequest) -> Result<cri::RunPodSandboxResponse> {
    let config = request.config.ok_or_else(|| Error::invalid("config is not set"))?;
    let asked = pod::run::Asked { config, runtime_handler: request.runtime_handler, settings: None };
    let pod_sandbox_id = pod::run::run(node.clone(), asked).await?;
    Ok(cri::RunPodSandboxResponse { pod_sandbox_id: pod_sandbox_id.to_string() })
}

/// StopPodSandbox.
///
/// # Errors
/// `InvalidArgument` for an empty or ambiguous id; those of [`pod::stop::stop`].
pub async fn stop(node: &Arc<Node>, request: cri::StopPodSandboxRequest) -> Result<cri::StopPodSandboxResponse> {
    let (node, id) = (node.clone(), request.pod_sandbox_id);
    let verb = async move {
        match allow_absent(node.objects.pods.find(&id))? {
            Some(pod) => pod::stop::stop(&node, &pod).await,
            None => Ok(()),
        }
    };
    to_completion(verb).await.map(|()| cri::StopPodSandboxResponse {})
}

/// RemovePodSandbox.
///
/// # Errors
/// `InvalidArgument` for an empty or ambiguous id; those of [`pod::remove::remove`].
pub async fn remove(node: &Arc<Node>, request: cri::RemovePodSandboxRequest) -> Result<cri::RemovePodSandboxResponse> {
    let (node, id) = (node.clone(), request.pod_sandbox_id);
    let verb = async move {
        match allow_absent(node.objects.pods.find(&id))? {
            Some(pod) => pod::remove::remove(&node, &pod).await,
            None => Ok(()),
        }
    };
    to_completion(verb).await.map(|()| cri::RemovePodSandboxResponse {})
}

/// UpdatePodSandboxResources.
///
/// # Errors
/// Those of [`pod::resources::update`].
pub async fn update(
    node: &Arc<Node>,
    request: cri::UpdatePodSandboxResourcesRequest,
) -> Result<cri::UpdatePodSandboxResourcesResponse> {
    let node = node.clone();
    let change = pod::Resources { overhead: request.overhead, resources: request.resources };
    let verb = async move {
        pod::resources::update(&node.objects, &node.machine.places, &request.pod_sandbox_id, change).await
    };
    to_completion(verb).await.map(|()| cri::UpdatePodSandboxResourcesResponse {})
}

/// PodSandboxStatus.
///
/// # Errors
/// `NotFound`, and `InvalidArgument` for an empty or ambiguous id.
pub fn status(node: &Node, request: &cri::PodSandboxStatusRequest) -> Result<cri::PodSandboxStatusResponse> {
    let pod = node.objects.pods.find(&request.pod_sandbox_id)?;
    // Taken before the state is read: kubelet would ignore an event that is newer than the state but older than this.
    let timestamp = unique_ns();
    let containers = node.objects.of_pod(pod.id());
    Ok(cri::PodSandboxStatusResponse {
        status: Some(pod::view::status(&pod)),
        info: if request.verbose { pod::verbose::info(node, &pod) } else { HashMap::new() },
        containers_statuses: containers.iter().map(|c| container::view::status(c)).collect(),
        timestamp,
    })
}

/// The items of ListPodSandbox and StreamPodSandboxes.
pub fn list(node: &Node, filter: Option<cri::PodSandboxFilter>) -> Vec<cri::PodSandbox> {
    let filter = filter.unwrap_or_default();
    let matches = |pod: &&Arc<Pod>| pod::view::matches(pod, &filter);
    node.objects.pods.all().iter().filter(matches).map(|pod| pod::view::entry(pod)).collect()
}
