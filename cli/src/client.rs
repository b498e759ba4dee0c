// SPDX-License-Identifier: Apache-2.0
//! The connection to the daemon's socket, and the requests that several commands send.

use crate::failure::refused;
use anyhow::{Result, bail, ensure};
use gorae_proto::cri;
use gorae_proto::cri::image_service_client::ImageServiceClient;
use gorae_proto::cri::runtime_service_client::RuntimeServiceClient;
use gorae_proto::gorae::networks_client::NetworksClient;
use gorae_proto::gorae::pods_client::PodsClient;
use hyper_util::rt::TokioIo;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

/// The largest response that is accepted: goraed keeps its responses below 16 MiB, other runtimes send larger ones.
const MAX_ANSWER: usize = 80 << 20;

/// A connection; clones share it. It is re-established when the daemon comes back after a restart.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    /// The socket as given, for messages.
    pub host: String,
}

/// How much a status tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The fields of the CRI.
    Plain,
    /// Also the daemon's own information.
    Verbose,
}

impl Detail {
    fn is_verbose(self) -> bool {
        self == Self::Verbose
    }
}

impl Client {
    /// Connects to the daemon at `unix:///PATH`, or at an absolute path.
    ///
    /// # Errors
    /// When `host` has another form, or nothing listens there. The error begins with what to do next.
    pub async fn connect(host: &str) -> Result<Self> {
        let path = socket_path(host)?;
        drop(UnixStream::connect(&path).await.map_err(|error| unreachable(&path, &error))?);
        let connector = tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        Ok(Self { channel: endpoint.connect_with_connector_lazy(connector), host: host.to_owned() })
    }

    /// The CRI's service for pods and containers.
    pub fn runtime(&self) -> RuntimeServiceClient<Channel> {
        RuntimeServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// The CRI's service for images.
    pub fn images(&self) -> ImageServiceClient<Channel> {
        ImageServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// Gorae's own service for pods.
    pub fn own_pods(&self) -> PodsClient<Channel> {
        PodsClient::new(self.channel.clone())
    }

    /// Gorae's own service for networks.
    pub fn networks(&self) -> NetworksClient<Channel> {
        NetworksClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// The channel itself, for other services.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Lists every container, running or not.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn containers(&self) -> Result<Vec<cri::Container>> {
        let answer = self.runtime().list_containers(cri::ListContainersRequest::default()).await;
        Ok(answer.map_err(refused(|| "list containers"))?.into_inner().containers)
    }

    /// Lists every pod, ready or not.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn pods(&self) -> Result<Vec<cri::PodSandbox>> {
        let answer = self.runtime().list_pod_sandbox(cri::ListPodSandboxRequest::default()).await;
        Ok(answer.map_err(refused(|| "list pods"))?.into_inner().items)
    }

    /// The state of a container.
    ///
    /// # Errors
    /// When the container does not exist, or the daemon refuses.
    pub async fn container_status(&self, id: &str, detail: Detail) -> Result<cri::ContainerStatusResponse> {
        let request = cri::ContainerStatusRequest { container_id: id.to_owned(), verbose: detail.is_verbose() };
        let answer = self.runtime().container_status(request).await;
        Ok(answer.map_err(refused(|| format!("inspect container {id:.12}")))?.into_inner())
    }

    /// The state of a pod.
    ///
    /// # Errors
    /// When the pod does not exist, or the daemon refuses.
    pub async fn pod_status(&self, id: &str, detail: Detail) -> Result<cri::PodSandboxStatusResponse> {
        let request = cri::PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: detail.is_verbose() };
        let answer = self.runtime().pod_sandbox_status(request).await;
        Ok(answer.map_err(refused(|| format!("inspect pod {id:.12}")))?.into_inner())
    }

    /// The image with this name or id; `None` when it is not on this machine.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn image(&self, name: &str, detail: Detail) -> Result<Option<cri::ImageStatusResponse>> {
        let image = Some(cri::ImageSpec { image: name.to_owned(), ..Default::default() });
        let request = cri::ImageStatusRequest { image, verbose: detail.is_verbose() };
        let answer = self.images().image_status(request).await;
        let answer = answer.map_err(refused(|| format!("inspect image {name}")))?.into_inner();
        Ok(answer.image.is_some().then_some(answer))
    }

    /// Whether a daemon listens on the socket right now.
    pub async fn is_there(&self) -> bool {
        match socket_path(&self.host) {
            Ok(path) => UnixStream::connect(path).await.is_ok(),
            Err(_) => false,
        }
    }
}

/// The path in `unix:///PATH`, or in a plain absolute path.
fn socket_path(host: &str) -> Result<PathBuf> {
    let path = host.strip_prefix("unix://").unwrap_or(host);
    if path.contains("://") {
        bail!("bad host {host:?}: gorae connects to unix sockets only; the form is unix:///PATH");
    }
    ensure!(path.starts_with('/'), "bad host {host:?}: the form is unix:///PATH");
    Ok(path.into())
}

/// The error for a socket without a daemon: what to do first, then why.
fn unreachable(path: &Path, error: &std::io::Error) -> anyhow::Error {
    let path = path.display();
    let next = match error.kind() {
        ErrorKind::NotFound => format!(
            "start the daemon (systemctl start gorae, or goraed), or name its socket with --host: there is no socket at \
             {path}"
        ),
        ErrorKind::ConnectionRefused => format!(
            "start the daemon again (systemctl start gorae, or goraed): nothing listens at {path}, so the last daemon \
             did not shut down cleanly"
        ),
        ErrorKind::PermissionDenied => format!("run it as root (sudo gorae …): only root may use {path}"),
        _ => format!("name the socket of a container runtime with --host: cannot connect to {path}"),
    };
    anyhow::Error::new(std::io::Error::from(error.kind())).context(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_socket_path() {
        for host in ["unix:///run/a.sock", "/run/a.sock"] {
            assert_eq!(socket_path(host).expect(host), Path::new("/run/a.sock"));
        }
        for host in ["", "run/a.sock", "unix://a.sock", "tcp://127.0.0.1:1", "http://x/"] {
            assert!(socket_path(host).is_err(), "{host:?} was taken");
        }
    }

    #[tokio::test]
    async fn without_a_daemon_the_error_says_what_was_tried_and_what_to_do() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("no.sock");
        let error = Client::connect(path.to_str().expect("UTF-8")).await.expect_err("no daemon").to_string();
        assert!(error.starts_with("start the daemon (systemctl start gorae, ") && error.contains("no.sock"), "{error}");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("binds"));
        let error = Client::connect(path.to_str().expect("UTF-8")).await.expect_err("no daemon").to_string();
        assert!(error.starts_with("start the daemon again ") && error.contains("nothing listens"), "{error}");
        let refused = unreachable(&path, &std::io::Error::from(ErrorKind::PermissionDenied)).to_string();
        assert!(refused.starts_with("run it as root (sudo gorae …)") && refused.contains("no.sock"), "{refused}");
    }
}
