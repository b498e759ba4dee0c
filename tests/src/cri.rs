// SPDX-License-Identifier: Apache-2.0
//! The two CRI clients of a socket.

use anyhow::{Context, Result};
use gorae_proto::cri::image_service_client::ImageServiceClient;
use gorae_proto::cri::runtime_service_client::RuntimeServiceClient;
use gorae_proto::cri::{
    Container, ContainerFilter, Image, ImageSpec, ImageStatusRequest, ListContainersRequest, ListImagesRequest,
    ListPodSandboxRequest, PodSandbox, PullImageRequest, RemoveImageRequest, RemovePodSandboxRequest,
    StopPodSandboxRequest, VersionRequest,
};
use hyper_util::rt::TokioIo;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::net::UnixStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

/// Longest answer a client takes, in bytes.
const LONGEST_ANSWER: usize = 64 << 20;

/// Clients of both services of one socket; clones share the connection, which is made again when it breaks.
#[derive(Debug, Clone)]
pub struct Cri {
    socket: PathBuf,
    channel: Channel,
}

impl Cri {
    /// Clients of a socket, not connected yet.
    #[must_use]
    pub fn new(socket: &Path) -> Cri {
        let path = socket.to_owned();
        let connector = service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        Cri { socket: socket.to_owned(), channel: endpoint.connect_with_connector_lazy(connector) }
    }

    /// The socket, as crictl wants it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// The connection itself, for calls that no generated client makes.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The runtime service.
    #[must_use]
    pub fn runtime(&self) -> RuntimeServiceClient<Channel> {
        RuntimeServiceClient::new(self.channel.clone()).max_decoding_message_size(LONGEST_ANSWER)
    }

    /// The image service.
    #[must_use]
    pub fn images(&self) -> ImageServiceClient<Channel> {
        ImageServiceClient::new(self.channel.clone()).max_decoding_message_size(LONGEST_ANSWER)
    }

    /// Waits until the socket answers.
    ///
    /// # Errors
    /// When it does not within the time given, with its last answer.
    pub async fn wait(&self, limit: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            let answer = self.runtime().version(VersionRequest::default()).await;
            match answer {
                Ok(_) => return Ok(()),
                Err(status) if begun.elapsed() > limit => {
                    return Err(status).with_context(|| format!("{} did not answer", self.endpoint()));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// Pulls an image and returns its id.
    ///
    /// # Errors
    /// The status of PullImage.
    pub async fn pull(&self, image: &str) -> Result<String, Status> {
        let request = PullImageRequest { image: Some(spec(image)), ..PullImageRequest::default() };
        Ok(self.images().pull_image(request).await?.into_inner().image_ref)
    }

    /// The image of a name, `None` when the node has none.
    ///
    /// # Errors
    /// The status of ImageStatus.
    pub async fn image(&self, image: &str) -> Result<Option<Image>, Status> {
        let request = ImageStatusRequest { image: Some(spec(image)), verbose: false };
        Ok(self.images().image_status(request).await?.into_inner().image)
    }

    /// Removes an image.
    ///
    /// # Errors
    /// The status of RemoveImage.
    pub async fn remove_image(&self, image: &str) -> Result<(), Status> {
        self.images().remove_image(RemoveImageRequest { image: Some(spec(image)) }).await.map(drop)
    }

    /// All images.
    ///
    /// # Errors
    /// The status of ListImages.
    pub async fn list_images(&self) -> Result<Vec<Image>, Status> {
        Ok(self.images().list_images(ListImagesRequest::default()).await?.into_inner().images)
    }

    /// All pods.
    ///
    /// # Errors
    /// The status of ListPodSandbox.
    pub async fn list_pods(&self) -> Result<Vec<PodSandbox>, Status> {
        Ok(self.runtime().list_pod_sandbox(ListPodSandboxRequest::default()).await?.into_inner().items)
    }

    /// All containers that pass a filter.
    ///
    /// # Errors
    /// The status of ListContainers.
    pub async fn list_containers(&self, filter: Option<ContainerFilter>) -> Result<Vec<Container>, Status> {
        Ok(self.runtime().list_containers(ListContainersRequest { filter }).await?.into_inner().containers)
    }

    /// Stops and removes a pod.
    ///
    /// # Errors
    /// The status of the call that failed.
    pub async fn clear_pod(&self, id: &str) -> Result<(), Status> {
        let pod_sandbox_id = id.to_owned();
        self.runtime().stop_pod_sandbox(StopPodSandboxRequest { pod_sandbox_id: pod_sandbox_id.clone() }).await?;
        self.runtime().remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id }).await?;
        Ok(())
    }
}

/// The name of an image as the CRI wants it.
#[must_use]
pub fn spec(image: &str) -> ImageSpec {
    ImageSpec { image: image.to_owned(), ..ImageSpec::default() }
}
