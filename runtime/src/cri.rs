// SPDX-License-Identifier: Apache-2.0
//! RuntimeService: finds the object, calls the verb, turns the result into the CRI's message. Nothing else.
//!
//! Verbs that change something run in a task of their own: the server drops a handler when its client goes away,
//! and a verb must end in done or in undone.

use gorae_node::clock;
use gorae_node::container;
use gorae_node::container::view::Verbose;
use gorae_node::disposable;
use gorae_node::error::{Error, Kind, Result};
use gorae_node::ids;
use gorae_node::node::Node;
use gorae_node::pod;
use gorae_node::usage;
use gorae_proto::cri::{self, runtime_service_server::RuntimeService};
use gorae_streaming::Server;
use prost::Message;
use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

/// The prefix of container ids in pod statuses; it may never change.
const RUNTIME_NAME: &str = "gorae";
/// The largest request and the largest answer: kubelet's own limits.
pub const MAX_MESSAGE: usize = 16 << 20;
/// Items in one message of a Stream* list.
const STREAM_BATCH: usize = 64;
/// Bytes in one message of a Stream* list, unless one item alone has more: a client that was told nothing takes 4 MiB.
const STREAM_BYTES: usize = 3 << 20;

/// A server stream of the CRI.
pub type Items<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;
type Reply<T> = std::result::Result<Response<T>, Status>;

/// The service over one node.
#[derive(Debug, Clone)]
pub struct Runtime {
    node: Arc<Node>,
    streaming: Arc<Server>,
    socket: PathBuf,
}

impl Runtime {
    /// The service of a node, with the server that its streaming URLs name; `socket` is what it is served on.
    pub fn new(node: Arc<Node>, streaming: Arc<Server>, socket: PathBuf) -> Self {
        Self { node, streaming, socket }
    }

    /// Checks that a stream to the container can work.
    fn running(&self, id: &str) -> Result<()> {
        self.node.objects.containers.find(id)?.running_shim().map(|_| ())
    }

    fn pods(&self, filter: Option<cri::PodSandboxFilter>) -> Vec<cri::PodSandbox> {
        let filter = filter.unwrap_or_default();
        let all = self.node.objects.pods.all();
        all.iter().filter(|p| pod::view::matches(p, &filter)).map(|p| pod::view::entry(p)).collect()
    }

    fn containers(&self, filter: Option<cri::ContainerFilter>) -> Vec<cri::Container> {
        let filter = filter.unwrap_or_default();
        let all = self.node.objects.containers.all();
        all.iter().filter(|c| container::view::matches(c, &filter)).map(|c| container::view::entry(c)).collect()
    }
}

/// Runs a verb to its end whether or not the client waits for it.
async fn to_the_end<T, F>(verb: F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    match tokio::spawn(verb).await {
        Ok(result) => result,
        Err(e) if e.is_panic() => Err(Error::internal("the verb panicked; see the daemon's log")),
        Err(e) => Err(Error::internal(format!("the verb was cut off: {e}"))),
    }
}

fn reply<T>(result: Result<T>) -> Reply<T> {
    result.map(Response::new).map_err(Status::from)
}

/// Unknown ids are fine for verbs whose end is that the object is gone.
fn absent_is_fine<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(object) => Ok(Some(object)),
        Err(e) if e.kind() == Kind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn seconds(value: i64) -> Duration {
    Duration::from_secs(u64::try_from(value).unwrap_or(0))
}

fn batches<T, M>(items: Vec<T>, message: fn(Vec<T>) -> M) -> Response<Items<M>>
where
    T: Message + 'static,
    M: Send + 'static,
{
    let mut rest = items.into_iter().peekable();
    let messages = std::iter::from_fn(move || {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(item) = rest.next_if(|next| {
            bytes += next.encoded_len();
            batch.is_empty() || (batch.len() < STREAM_BATCH && bytes <= STREAM_BYTES)
        }) {
            batch.push(item);
        }
        (!batch.is_empty()).then(|| Ok(message(batch)))
    });
    Response::new(Box::pin(tokio_stream::iter(messages)))
}

/// The answer of a list, when its client can take it; `streamed` is the call that gives the same in parts.
fn whole<M: Message>(list: M, streamed: &str) -> Result<M> {
    let bytes = list.encoded_len();
    if bytes <= MAX_MESSAGE {
        return Ok(list);
    }
    let why = format!("the list has {bytes} bytes, and clients take {MAX_MESSAGE}: give a filter, or call {streamed}");
    Err(Error::new(Kind::ResourceExhausted, why))
}

/// The words are gRPC's own for a verb that a server has not got: clients look for them, among them Kubernetes' suite,
/// which then skips what needs the verb.
fn not_done<T>(what: &str) -> Reply<T> {
    Err(Status::unimplemented(format!("method {what} not implemented")))
}

#[tonic::async_trait]
impl RuntimeService for Runtime {
    async fn version(&self, _: Request<cri::VersionRequest>) -> Reply<cri::VersionResponse> {
        Ok(Response::new(cri::VersionResponse {
            version: "0.1.0".into(),
            runtime_name: RUNTIME_NAME.into(),
            runtime_version: env!("CARGO_PKG_VERSION").into(),
            runtime_api_version: "v1".into(),
        }))
    }

    async fn run_pod_sandbox(&self, request: Request<cri::RunPodSandboxRequest>) -> Reply<cri::RunPodSandboxResponse> {
        let request = request.into_inner();
        let Some(config) = request.config else { return reply(Err(Error::invalid("config is not set"))) };
        let id = pod::run::run(self.node.clone(), config, request.runtime_handler).await;
        reply(id.map(|id| cri::RunPodSandboxResponse { pod_sandbox_id: id.to_string() }))
    }

    async fn stop_pod_sandbox(
        &self,
        request: Request<cri::StopPodSandboxRequest>,
    ) -> Reply<cri::StopPodSandboxResponse> {
        let (node, id) = (self.node.clone(), request.into_inner().pod_sandbox_id);
        let verb = async move {
            match absent_is_fine(node.objects.pods.find(&id))? {
                Some(pod) => pod::stop::stop(&node, &pod).await,
                None => Ok(()),
            }
        };
        reply(to_the_end(verb).await.map(|()| cri::StopPodSandboxResponse {}))
    }

    async fn remove_pod_sandbox(
        &self,
        request: Request<cri::RemovePodSandboxRequest>,
    ) -> Reply<cri::RemovePodSandboxResponse> {
        let (node, id) = (self.node.clone(), request.into_inner().pod_sandbox_id);
        let verb = async move {
            match absent_is_fine(node.objects.pods.find(&id))? {
                Some(pod) => pod::remove::remove(&node, &pod).await,
                None => Ok(()),
            }
        };
        reply(to_the_end(verb).await.map(|()| cri::RemovePodSandboxResponse {}))
    }

    async fn pod_sandbox_status(
        &self,
        request: Request<cri::PodSandboxStatusRequest>,
    ) -> Reply<cri::PodSandboxStatusResponse> {
        let request = request.into_inner();
        let view = |pod: Arc<pod::Pod>| {
            // Before the look: kubelet would not take an event that is newer than the look and older than this.
            let timestamp = clock::unique_ns();
            let containers = self.node.objects.of_pod(pod.id());
            cri::PodSandboxStatusResponse {
                status: Some(pod::view::status(&pod)),
                info: if request.verbose {
                    pod::view::verbose(&self.node.machine.places, &pod)
                } else {
                    HashMap::new()
                },
                containers_statuses: containers.iter().map(|c| container::view::status(c)).collect(),
                timestamp,
            }
        };
        reply(self.node.objects.pods.find(&request.pod_sandbox_id).map(view))
    }

    async fn list_pod_sandbox(
        &self,
        request: Request<cri::ListPodSandboxRequest>,
    ) -> Reply<cri::ListPodSandboxResponse> {
        let items = self.pods(request.into_inner().filter);
        reply(whole(cri::ListPodSandboxResponse { items }, "StreamPodSandboxes"))
    }

    type StreamPodSandboxesStream = Items<cri::StreamPodSandboxesResponse>;

    async fn stream_pod_sandboxes(
        &self,
        request: Request<cri::StreamPodSandboxesRequest>,
    ) -> Reply<Self::StreamPodSandboxesStream> {
        let items = self.pods(request.into_inner().filter);
        Ok(batches(items, |pod_sandboxes| cri::StreamPodSandboxesResponse { pod_sandboxes }))
    }

    async fn create_container(
        &self,
        request: Request<cri::CreateContainerRequest>,
    ) -> Reply<cri::CreateContainerResponse> {
        let request = request.into_inner();
        let Some(config) = request.config else { return reply(Err(Error::invalid("config is not set"))) };
        let sandbox_config = request.sandbox_config.as_ref();
        let id = container::create::create(self.node.clone(), &request.pod_sandbox_id, config, sandbox_config).await;
        reply(id.map(|id| cri::CreateContainerResponse { container_id: id.to_string() }))
    }

    async fn start_container(
        &self,
        request: Request<cri::StartContainerRequest>,
    ) -> Reply<cri::StartContainerResponse> {
        let (node, id) = (self.node.clone(), request.into_inner().container_id);
        let verb = async move {
            let container = node.objects.containers.find(&id)?;
            container::start::start(&node, &container).await
        };
        reply(to_the_end(verb).await.map(|()| cri::StartContainerResponse {}))
    }

    async fn stop_container(&self, request: Request<cri::StopContainerRequest>) -> Reply<cri::StopContainerResponse> {
        let (node, request) = (self.node.clone(), request.into_inner());
        let verb = async move {
            match absent_is_fine(node.objects.containers.find(&request.container_id))? {
                Some(container) => container::stop::stop(&node.keeper, &container, seconds(request.timeout)).await,
                None => Ok(()),
            }
        };
        reply(to_the_end(verb).await.map(|()| cri::StopContainerResponse {}))
    }

    async fn remove_container(
        &self,
        request: Request<cri::RemoveContainerRequest>,
    ) -> Reply<cri::RemoveContainerResponse> {
        let (node, id) = (self.node.clone(), request.into_inner().container_id);
        let verb = async move {
            match absent_is_fine(node.objects.containers.find(&id))? {
                Some(container) => container::remove::remove(&node, &container).await,
                None => Ok(()),
            }
        };
        reply(to_the_end(verb).await.map(|()| cri::RemoveContainerResponse {}))
    }

    async fn list_containers(
        &self,
        request: Request<cri::ListContainersRequest>,
    ) -> Reply<cri::ListContainersResponse> {
        let containers = self.containers(request.into_inner().filter);
        reply(whole(cri::ListContainersResponse { containers }, "StreamContainers"))
    }

    type StreamContainersStream = Items<cri::StreamContainersResponse>;

    async fn stream_containers(
        &self,
        request: Request<cri::StreamContainersRequest>,
    ) -> Reply<Self::StreamContainersStream> {
        let items = self.containers(request.into_inner().filter);
        Ok(batches(items, |containers| cri::StreamContainersResponse { containers }))
    }

    async fn container_status(
        &self,
        request: Request<cri::ContainerStatusRequest>,
    ) -> Reply<cri::ContainerStatusResponse> {
        let request = request.into_inner();
        let container = match self.node.objects.containers.find(&request.container_id) {
            Ok(container) => container,
            Err(error) => return reply(Err(error)),
        };
        let status = Some(container::view::status(&container));
        if !request.verbose {
            return Ok(Response::new(cri::ContainerStatusResponse { status, info: HashMap::new() }));
        }
        // The spec shows the devices and profiles of the host.
        let verbose = Verbose::of(&container, &self.node.facts());
        let info = disposable::probe("devices and profiles", verbose, Verbose::info).await;
        reply(info.map(|info| cri::ContainerStatusResponse { status, info }))
    }

    async fn update_container_resources(
        &self,
        request: Request<cri::UpdateContainerResourcesRequest>,
    ) -> Reply<cri::UpdateContainerResourcesResponse> {
        let (node, request) = (self.node.clone(), request.into_inner());
        let verb = async move {
            let container = node.objects.containers.find(&request.container_id)?;
            match &request.linux {
                Some(change) => container::update::update(&node, &container, change).await,
                None => Ok(()),
            }
        };
        reply(to_the_end(verb).await.map(|()| cri::UpdateContainerResourcesResponse {}))
    }

    async fn reopen_container_log(
        &self,
        request: Request<cri::ReopenContainerLogRequest>,
    ) -> Reply<cri::ReopenContainerLogResponse> {
        let container = self.node.objects.containers.find(&request.into_inner().container_id);
        let verb = async move { container::reopen_log::reopen(&container?).await };
        reply(to_the_end(verb).await.map(|()| cri::ReopenContainerLogResponse {}))
    }

    async fn exec_sync(&self, request: Request<cri::ExecSyncRequest>) -> Reply<cri::ExecSyncResponse> {
        let request = request.into_inner();
        let container = match self.node.objects.containers.find(&request.container_id) {
            Ok(container) => container,
            Err(error) => return reply(Err(error)),
        };
        // Not in a task of its own: a client that goes away ends the command.
        let output = container::exec::sync(&container, request.cmd, seconds(request.timeout)).await;
        reply(output.map(|o| cri::ExecSyncResponse { stdout: o.stdout, stderr: o.stderr, exit_code: o.exit_code }))
    }

    async fn exec(&self, request: Request<cri::ExecRequest>) -> Reply<cri::ExecResponse> {
        let request = request.into_inner();
        if request.cmd.first().is_none_or(String::is_empty) {
            return reply(Err(Error::invalid("cmd is empty")));
        }
        // First what can be wrong: a URL takes one of few places until its client comes.
        self.running(&request.container_id)?;
        let url = self.streaming.exec_url(&request)?;
        Ok(Response::new(cri::ExecResponse { url }))
    }

    async fn attach(&self, request: Request<cri::AttachRequest>) -> Reply<cri::AttachResponse> {
        let request = request.into_inner();
        self.running(&request.container_id)?;
        let tty = self.node.objects.containers.find(&request.container_id)?.record().config.tty;
        if tty != request.tty {
            return reply(Err(Error::invalid(format!("tty is {}, but the container's is {tty}", request.tty))));
        }
        let url = self.streaming.attach_url(&request)?;
        Ok(Response::new(cri::AttachResponse { url }))
    }

    async fn port_forward(&self, request: Request<cri::PortForwardRequest>) -> Reply<cri::PortForwardResponse> {
        let request = request.into_inner();
        let pod = self.node.objects.pods.find(&request.pod_sandbox_id)?;
        if !pod.is_ready() {
            return reply(Err(Error::precondition(format!("pod {} is not ready", ids::short(pod.id())))));
        }
        let url = self.streaming.port_forward_url(&request)?;
        Ok(Response::new(cri::PortForwardResponse { url }))
    }

    async fn container_stats(
        &self,
        request: Request<cri::ContainerStatsRequest>,
    ) -> Reply<cri::ContainerStatsResponse> {
        let container = self.node.objects.containers.find(&request.into_inner().container_id)?;
        let stats = usage::container(self.node.clone(), container).await;
        reply(stats.map(|stats| cri::ContainerStatsResponse { stats: Some(stats) }))
    }

    async fn list_container_stats(
        &self,
        request: Request<cri::ListContainerStatsRequest>,
    ) -> Reply<cri::ListContainerStatsResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let stats = usage::containers(self.node.clone(), filter).await;
        reply(stats.and_then(|stats| whole(cri::ListContainerStatsResponse { stats }, "StreamContainerStats")))
    }

    type StreamContainerStatsStream = Items<cri::StreamContainerStatsResponse>;

    async fn stream_container_stats(
        &self,
        request: Request<cri::StreamContainerStatsRequest>,
    ) -> Reply<Self::StreamContainerStatsStream> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let stats = usage::containers(self.node.clone(), filter).await?;
        Ok(batches(stats, |container_stats| cri::StreamContainerStatsResponse { container_stats }))
    }

    async fn pod_sandbox_stats(
        &self,
        request: Request<cri::PodSandboxStatsRequest>,
    ) -> Reply<cri::PodSandboxStatsResponse> {
        let pod = self.node.objects.pods.find(&request.into_inner().pod_sandbox_id)?;
        let stats = usage::pod(self.node.clone(), pod).await;
        reply(stats.map(|stats| cri::PodSandboxStatsResponse { stats: Some(stats) }))
    }

    async fn list_pod_sandbox_stats(
        &self,
        request: Request<cri::ListPodSandboxStatsRequest>,
    ) -> Reply<cri::ListPodSandboxStatsResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let stats = usage::pods(self.node.clone(), filter).await;
        reply(stats.and_then(|stats| whole(cri::ListPodSandboxStatsResponse { stats }, "StreamPodSandboxStats")))
    }

    type StreamPodSandboxStatsStream = Items<cri::StreamPodSandboxStatsResponse>;

    async fn stream_pod_sandbox_stats(
        &self,
        request: Request<cri::StreamPodSandboxStatsRequest>,
    ) -> Reply<Self::StreamPodSandboxStatsStream> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let stats = usage::pods(self.node.clone(), filter).await?;
        Ok(batches(stats, |pod_sandbox_stats| cri::StreamPodSandboxStatsResponse { pod_sandbox_stats }))
    }

    async fn update_runtime_config(
        &self,
        request: Request<cri::UpdateRuntimeConfigRequest>,
    ) -> Reply<cri::UpdateRuntimeConfigResponse> {
        let config = request.into_inner().runtime_config.and_then(|c| c.network_config);
        let cidr = config.map(|c| c.pod_cidr).unwrap_or_default();
        if !cidr.is_empty() {
            match self.node.network.set_pod_cidr(&cidr).await {
                Ok(outcome) => tracing::info!(%cidr, ?outcome, "kubelet named a pod CIDR"),
                Err(error) => return reply(Err(error.into())),
            }
        }
        Ok(Response::new(cri::UpdateRuntimeConfigResponse {}))
    }

    async fn status(&self, request: Request<cri::StatusRequest>) -> Reply<cri::StatusResponse> {
        Ok(Response::new(crate::status::view(&self.node, &self.socket, request.into_inner().verbose)))
    }

    async fn checkpoint_container(
        &self,
        _: Request<cri::CheckpointContainerRequest>,
    ) -> Reply<cri::CheckpointContainerResponse> {
        not_done("CheckpointContainer")
    }

    async fn checkpoint_pod(&self, _: Request<cri::CheckpointPodRequest>) -> Reply<cri::CheckpointPodResponse> {
        not_done("CheckpointPod")
    }

    async fn restore_pod(&self, _: Request<cri::RestorePodRequest>) -> Reply<cri::RestorePodResponse> {
        not_done("RestorePod")
    }

    type GetContainerEventsStream = Items<cri::ContainerEventResponse>;

    async fn get_container_events(&self, _: Request<cri::GetEventsRequest>) -> Reply<Self::GetContainerEventsStream> {
        let events = tokio_stream::wrappers::BroadcastStream::new(self.node.events.subscribe());
        let stream = events.map(|event| {
            event.map_err(|lost| Status::resource_exhausted(format!("client is too slow: {lost}; list again")))
        });
        Ok(Response::new(Box::pin(stream)))
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
        let metrics = usage::metrics(self.node.clone()).await;
        let list = |pod_metrics| whole(cri::ListPodSandboxMetricsResponse { pod_metrics }, "StreamPodSandboxMetrics");
        reply(metrics.and_then(list))
    }

    type StreamPodSandboxMetricsStream = Items<cri::StreamPodSandboxMetricsResponse>;

    async fn stream_pod_sandbox_metrics(
        &self,
        _: Request<cri::StreamPodSandboxMetricsRequest>,
    ) -> Reply<Self::StreamPodSandboxMetricsStream> {
        let metrics = usage::metrics(self.node.clone()).await?;
        let message = |pod_sandbox_metrics| cri::StreamPodSandboxMetricsResponse { pod_sandbox_metrics };
        Ok(batches(metrics, message))
    }

    async fn runtime_config(&self, _: Request<cri::RuntimeConfigRequest>) -> Reply<cri::RuntimeConfigResponse> {
        let linux = cri::LinuxRuntimeConfiguration { cgroup_driver: cri::CgroupDriver::Cgroupfs.into() };
        Ok(Response::new(cri::RuntimeConfigResponse { linux: Some(linux) }))
    }

    async fn update_pod_sandbox_resources(
        &self,
        request: Request<cri::UpdatePodSandboxResourcesRequest>,
    ) -> Reply<cri::UpdatePodSandboxResourcesResponse> {
        let (node, request) = (self.node.clone(), request.into_inner());
        let change = pod::Resources { overhead: request.overhead, resources: request.resources };
        let verb = async move { pod::resources::update(&node, &request.pod_sandbox_id, change).await };
        reply(to_the_end(verb).await.map(|()| cri::UpdatePodSandboxResourcesResponse {}))
    }
}
