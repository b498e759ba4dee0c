// SPDX-License-Identifier: Apache-2.0
//! The table of RuntimeService: for each method, the function that answers it.

use super::events::Losses;
use super::lists::{Items, batches, whole};
use super::{containers, daemon, events, pods, sessions, statistics};
use gorae_node::Node;
use gorae_proto::cri::{self, runtime_service_server::RuntimeService};
use gorae_streaming::Server;
use std::path::PathBuf;
use std::sync::Arc;
use tonic::{Request, Response, Status};

type Reply<T> = Result<Response<T>, Status>;

/// The service of one node.
#[derive(Debug, Clone)]
pub struct Runtime {
    node: Arc<Node>,
    streaming: Arc<Server>,
    socket: PathBuf,
    losses: Losses,
}

impl Runtime {
    /// The service of a node. `streaming` is the server that its streaming URLs lead to, `socket` is the socket that it
    /// is served on, and `losses` counts the events that slow clients miss.
    pub fn new(node: Arc<Node>, streaming: Arc<Server>, socket: PathBuf, losses: Losses) -> Self {
        Self { node, streaming, socket, losses }
    }
}

#[tonic::async_trait]
impl RuntimeService for Runtime {
    async fn version(&self, _: Request<cri::VersionRequest>) -> Reply<cri::VersionResponse> {
        Ok(Response::new(daemon::version()))
    }

    async fn status(&self, request: Request<cri::StatusRequest>) -> Reply<cri::StatusResponse> {
        Ok(Response::new(crate::status::view(&self.node, &self.socket, request.into_inner().verbose)))
    }

    async fn runtime_config(&self, _: Request<cri::RuntimeConfigRequest>) -> Reply<cri::RuntimeConfigResponse> {
        Ok(Response::new(daemon::config()))
    }

    async fn update_runtime_config(
        &self,
        request: Request<cri::UpdateRuntimeConfigRequest>,
    ) -> Reply<cri::UpdateRuntimeConfigResponse> {
        Ok(Response::new(daemon::update_config(&self.node.networks, request.into_inner()).await?))
    }

    async fn run_pod_sandbox(&self, request: Request<cri::RunPodSandboxRequest>) -> Reply<cri::RunPodSandboxResponse> {
        Ok(Response::new(pods::run(&self.node, request.into_inner()).await?))
    }

    async fn stop_pod_sandbox(
        &self,
        request: Request<cri::StopPodSandboxRequest>,
    ) -> Reply<cri::StopPodSandboxResponse> {
        Ok(Response::new(pods::stop(&self.node, request.into_inner()).await?))
    }

    async fn remove_pod_sandbox(
        &self,
        request: Request<cri::RemovePodSandboxRequest>,
    ) -> Reply<cri::RemovePodSandboxResponse> {
        Ok(Response::new(pods::remove(&self.node, request.into_inner()).await?))
    }

    async fn update_pod_sandbox_resources(
        &self,
        request: Request<cri::UpdatePodSandboxResourcesRequest>,
    ) -> Reply<cri::UpdatePodSandboxResourcesResponse> {
        Ok(Response::new(pods::update(&self.node, request.into_inner()).await?))
    }

    async fn pod_sandbox_status(
        &self,
        request: Request<cri::PodSandboxStatusRequest>,
    ) -> Reply<cri::PodSandboxStatusResponse> {
        Ok(Response::new(pods::status(&self.node, &request.into_inner())?))
    }

    async fn list_pod_sandbox(
        &self,
        request: Request<cri::ListPodSandboxRequest>,
    ) -> Reply<cri::ListPodSandboxResponse> {
        let items = pods::list(&self.node, request.into_inner().filter);
        Ok(Response::new(whole(cri::ListPodSandboxResponse { items }, "StreamPodSandboxes")?))
    }

    type StreamPodSandboxesStream = Items<cri::StreamPodSandboxesResponse>;

    async fn stream_pod_sandboxes(
        &self,
        request: Request<cri::StreamPodSandboxesRequest>,
    ) -> Reply<Self::StreamPodSandboxesStream> {
        let items = pods::list(&self.node, request.into_inner().filter);
        Ok(batches(items, |pod_sandboxes| cri::StreamPodSandboxesResponse { pod_sandboxes }))
    }

    async fn create_container(
        &self,
        request: Request<cri::CreateContainerRequest>,
    ) -> Reply<cri::CreateContainerResponse> {
        Ok(Response::new(containers::create(&self.node, request.into_inner()).await?))
    }

    async fn start_container(
        &self,
        request: Request<cri::StartContainerRequest>,
    ) -> Reply<cri::StartContainerResponse> {
        Ok(Response::new(containers::start(&self.node, request.into_inner()).await?))
    }

    async fn stop_container(&self, request: Request<cri::StopContainerRequest>) -> Reply<cri::StopContainerResponse> {
        Ok(Response::new(containers::stop(&self.node, request.into_inner()).await?))
    }

    async fn remove_container(
        &self,
        request: Request<cri::RemoveContainerRequest>,
    ) -> Reply<cri::RemoveContainerResponse> {
        Ok(Response::new(containers::remove(&self.node, request.into_inner()).await?))
    }

    async fn update_container_resources(
        &self,
        request: Request<cri::UpdateContainerResourcesRequest>,
    ) -> Reply<cri::UpdateContainerResourcesResponse> {
        Ok(Response::new(containers::update(&self.node, request.into_inner()).await?))
    }

    async fn reopen_container_log(
        &self,
        request: Request<cri::ReopenContainerLogRequest>,
    ) -> Reply<cri::ReopenContainerLogResponse> {
        Ok(Response::new(containers::reopen_log(&self.node, request.into_inner()).await?))
    }

    async fn container_status(
        &self,
        request: Request<cri::ContainerStatusRequest>,
    ) -> Reply<cri::ContainerStatusResponse> {
        Ok(Response::new(containers::status(&self.node, request.into_inner()).await?))
    }

    async fn list_containers(
        &self,
        request: Request<cri::ListContainersRequest>,
    ) -> Reply<cri::ListContainersResponse> {
        let containers = containers::list(&self.node, request.into_inner().filter);
        Ok(Response::new(whole(cri::ListContainersResponse { containers }, "StreamContainers")?))
    }

    type StreamContainersStream = Items<cri::StreamContainersResponse>;

    async fn stream_containers(
        &self,
        request: Request<cri::StreamContainersRequest>,
    ) -> Reply<Self::StreamContainersStream> {
        let items = containers::list(&self.node, request.into_inner().filter);
        Ok(batches(items, |containers| cri::StreamContainersResponse { containers }))
    }

    async fn exec_sync(&self, request: Request<cri::ExecSyncRequest>) -> Reply<cri::ExecSyncResponse> {
        Ok(Response::new(containers::exec(&self.node, request.into_inner()).await?))
    }

    async fn exec(&self, request: Request<cri::ExecRequest>) -> Reply<cri::ExecResponse> {
        Ok(Response::new(sessions::exec(&self.node.objects, &self.streaming, &request.into_inner())?))
    }

    async fn attach(&self, request: Request<cri::AttachRequest>) -> Reply<cri::AttachResponse> {
        Ok(Response::new(sessions::attach(&self.node.objects, &self.streaming, &request.into_inner())?))
    }

    async fn port_forward(&self, request: Request<cri::PortForwardRequest>) -> Reply<cri::PortForwardResponse> {
        Ok(Response::new(sessions::port_forward(&self.node.objects, &self.streaming, &request.into_inner())?))
    }

    async fn container_stats(
        &self,
        request: Request<cri::ContainerStatsRequest>,
    ) -> Reply<cri::ContainerStatsResponse> {
        Ok(Response::new(statistics::of_container(&self.node, &request.into_inner()).await?))
    }

    async fn list_container_stats(
        &self,
        request: Request<cri::ListContainerStatsRequest>,
    ) -> Reply<cri::ListContainerStatsResponse> {
        let stats = statistics::of_containers(&self.node, request.into_inner().filter).await?;
        Ok(Response::new(whole(cri::ListContainerStatsResponse { stats }, "StreamContainerStats")?))
    }

    type StreamContainerStatsStream = Items<cri::StreamContainerStatsResponse>;

    async fn stream_container_stats(
        &self,
        request: Request<cri::StreamContainerStatsRequest>,
    ) -> Reply<Self::StreamContainerStatsStream> {
        let stats = statistics::of_containers(&self.node, request.into_inner().filter).await?;
        Ok(batches(stats, |container_stats| cri::StreamContainerStatsResponse { container_stats }))
    }

    async fn pod_sandbox_stats(
        &self,
        request: Request<cri::PodSandboxStatsRequest>,
    ) -> Reply<cri::PodSandboxStatsResponse> {
        Ok(Response::new(statistics::of_pod(&self.node, &request.into_inner()).await?))
    }

    async fn list_pod_sandbox_stats(
        &self,
        request: Request<cri::ListPodSandboxStatsRequest>,
    ) -> Reply<cri::ListPodSandboxStatsResponse> {
        let stats = statistics::of_pods(&self.node, request.into_inner().filter).await?;
        Ok(Response::new(whole(cri::ListPodSandboxStatsResponse { stats }, "StreamPodSandboxStats")?))
    }

    type StreamPodSandboxStatsStream = Items<cri::StreamPodSandboxStatsResponse>;

    async fn stream_pod_sandbox_stats(
        &self,
        request: Request<cri::StreamPodSandboxStatsRequest>,
    ) -> Reply<Self::StreamPodSandboxStatsStream> {
        let stats = statistics::of_pods(&self.node, request.into_inner().filter).await?;
        Ok(batches(stats, |pod_sandbox_stats| cri::StreamPodSandboxStatsResponse { pod_sandbox_stats }))
    }

    async fn list_metric_descriptors(
        &self,
        _: Request<cri::ListMetricDescriptorsRequest>,
    ) -> Reply<cri::ListMetricDescriptorsResponse> {
        Ok(Response::new(cri::ListMetricDescriptorsResponse { descriptors: gorae_stats::descriptors() }))
    }

    async fn list_pod_sandbox_metrics(
        &self,
        _: Request<cri::ListPodSandboxMetricsRequest>,
    ) -> Reply<cri::ListPodSandboxMetricsResponse> {
        Ok(Response::new(statistics::metrics(&self.node).await?))
    }

    type StreamPodSandboxMetricsStream = Items<cri::StreamPodSandboxMetricsResponse>;

    async fn stream_pod_sandbox_metrics(
        &self,
        _: Request<cri::StreamPodSandboxMetricsRequest>,
    ) -> Reply<Self::StreamPodSandboxMetricsStream> {
        let metrics = gorae_node::usage::metrics(self.node.usage.clone()).await?;
        let message = |pod_sandbox_metrics| cri::StreamPodSandboxMetricsResponse { pod_sandbox_metrics };
        Ok(batches(metrics, message))
    }

    type GetContainerEventsStream = Items<cri::ContainerEventResponse>;

    async fn get_container_events(&self, _: Request<cri::GetEventsRequest>) -> Reply<Self::GetContainerEventsStream> {
        Ok(Response::new(events::follow(&self.node.events, self.losses.clone())))
    }

    async fn checkpoint_container(
        &self,
        _: Request<cri::CheckpointContainerRequest>,
    ) -> Reply<cri::CheckpointContainerResponse> {
        daemon::unimplemented("CheckpointContainer")
    }

    async fn checkpoint_pod(&self, _: Request<cri::CheckpointPodRequest>) -> Reply<cri::CheckpointPodResponse> {
        daemon::unimplemented("CheckpointPod")
    }

    async fn restore_pod(&self, _: Request<cri::RestorePodRequest>) -> Reply<cri::RestorePodResponse> {
        daemon::unimplemented("RestorePod")
    }
}
