// SPDX-License-Identifier: Apache-2.0
//! Calls about containers. Each finds its container and runs the verb; it fails as the verb does, or when the container
//! does not exist.

use super::verbs::{allow_absent, seconds, to_completion};
use gorae_node::container::verbose::Verbose;
use gorae_node::container::{self, Container};
use gorae_node::error::{Error, Result};
use gorae_node::{Node, disposable};
use gorae_proto::cri;
use std::collections::HashMap;
use std::sync::Arc;

/// CreateContainer. It runs to completion in an operation that repeated requests join.
///
/// # Errors
/// `InvalidArgument` without a config; those of [`container::create::create`].
pub async fn create(node: &Arc<Node>, request: cri::CreateContainerRequest) -> Result<cri::CreateContainerResponse> {
    let config = request.config.ok_or_else(|| Error::invalid("config is not set"))?;
    let sandbox_config = request.sandbox_config.as_ref();
    let container_id = container::create::create(node.clone(), &request.pod_sandbox_id, config, sandbox_config).await?;
    Ok(cri::CreateContainerResponse { container_id: container_id.to_string() })
}

/// StartContainer.
///
/// # Errors
/// `NotFound`, and `InvalidArgument` for an empty or ambiguous id; those of [`container::start::start`].
pub async fn start(node: &Arc<Node>, request: cri::StartContainerRequest) -> Result<cri::StartContainerResponse> {
    let (node, id) = (node.clone(), request.container_id);
    let verb = async move {
        let container = node.objects.containers.find(&id)?;
        container::start::start(&node, &container).await
    };
    to_completion(verb).await.map(|()| cri::StartContainerResponse {})
}

/// StopContainer.
///
/// # Errors
/// `InvalidArgument` for an empty or ambiguous id; those of [`container::stop::stop`].
pub async fn stop(node: &Arc<Node>, request: cri::StopContainerRequest) -> Result<cri::StopContainerResponse> {
    let node = node.clone();
    let verb = async move {
        match allow_absent(node.objects.containers.find(&request.container_id))? {
            Some(container) => container::stop::stop(&node.keeper, &container, seconds(request.timeout)).await,
            None => Ok(()),
        }
    };
    to_completion(verb).await.map(|()| cri::StopContainerResponse {})
}

/// RemoveContainer.
///
/// # Errors
/// `InvalidArgument` for an empty or ambiguous id; those of [`container::remove::remove`].
pub async fn remove(node: &Arc<Node>, request: cri::RemoveContainerRequest) -> Result<cri::RemoveContainerResponse> {
    let (node, id) = (node.clone(), request.container_id);
    let verb = async move {
        match allow_absent(node.objects.containers.find(&id))? {
            Some(container) => container::remove::remove(&node, &container).await,
            None => Ok(()),
        }
    };
    to_completion(verb).await.map(|()| cri::RemoveContainerResponse {})
}

/// UpdateContainerResources.
///
/// # Errors
/// `NotFound`, and `InvalidArgument` for an empty or ambiguous id; those of [`container::update::update`].
pub async fn update(
    node: &Arc<Node>,
    request: cri::UpdateContainerResourcesRequest,
) -> Result<cri::UpdateContainerResourcesResponse> {
    let node = node.clone();
    let verb = async move {
        let container = node.objects.containers.find(&request.container_id)?;
        match &request.linux {
            Some(change) => container::update::update(&node.machine, &container, change).await,
            None => Ok(()),
        }
    };
    to_completion(verb).await.map(|()| cri::UpdateContainerResourcesResponse {})
}

/// ReopenContainerLog.
///
/// # Errors
/// `NotFound`, and `InvalidArgument` for an empty or ambiguous id; those of [`container::reopen_log::reopen`].
pub async fn reopen_log(
    node: &Node,
    request: cri::ReopenContainerLogRequest,
) -> Result<cri::ReopenContainerLogResponse> {
    let container = node.objects.containers.find(&request.container_id)?;
    let verb = async move { container::reopen_log::reopen(&container).await };
    to_completion(verb).await.map(|()| cri::ReopenContainerLogResponse {})
}

/// ExecSync. It does not run in a task of its own: when the client disconnects, the command is ended.
///
/// # Errors
/// `NotFound`, and `InvalidArgument` for an empty or ambiguous id; those of [`container::exec::sync`].
pub async fn exec(node: &Node, request: cri::ExecSyncRequest) -> Result<cri::ExecSyncResponse> {
    let container = node.objects.containers.find(&request.container_id)?;
    let output = container::exec::sync(&container, request.cmd, seconds(request.timeout)).await?;
    Ok(cri::ExecSyncResponse { stdout: output.stdout, stderr: output.stderr, exit_code: output.exit_code })
}

/// ContainerStatus.
///
/// # Errors
/// `NotFound`, and `InvalidArgument` for an empty or ambiguous id.
/// `DeadlineExceeded` for a verbose request when a path of the host hangs.
pub async fn status(node: &Arc<Node>, request: cri::ContainerStatusRequest) -> Result<cri::ContainerStatusResponse> {
    let container = node.objects.containers.find(&request.container_id)?;
    let status = Some(container::view::status(&container));
    if !request.verbose {
        return Ok(cri::ContainerStatusResponse { status, info: HashMap::new() });
    }
    // The runtime spec includes devices and profiles, which are read from the host.
    let sources = Verbose::of(&node.machine, &node.objects, node.settings.missing_host_path, &container);
    let info = disposable::probe("devices and profiles", sources, Verbose::info).await?;
    Ok(cri::ContainerStatusResponse { status, info })
}

/// The items of ListContainers and StreamContainers.
pub fn list(node: &Node, filter: Option<cri::ContainerFilter>) -> Vec<cri::Container> {
    let filter = filter.unwrap_or_default();
    let matches = |container: &&Arc<Container>| container::view::matches(container, &filter);
    node.objects.containers.all().iter().filter(matches).map(|container| container::view::entry(container)).collect()
}
