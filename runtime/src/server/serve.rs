// SPDX-License-Identifier: Apache-2.0
//! Serves the socket, and ends within a deadline when it is asked to stop.

use crate::admin::Counters;
use crate::cri::{MAX_MESSAGE, Runtime};
use crate::people::{NetworkService, PodService};
use crate::rpc;
use gorae_image_service as images;
use gorae_node::Node;
use gorae_node::error::{Error, Result};
use gorae_proto::cri::{image_service_server::ImageServiceServer, runtime_service_server::RuntimeServiceServer};
use gorae_proto::gorae::images_server::ImagesServer;
use gorae_proto::gorae::networks_server::NetworksServer;
use gorae_proto::gorae::pods_server::PodsServer;
use gorae_streaming as streaming;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tonic::service::Routes;
use tonic::transport;

/// How long requests in flight may take once shutdown was requested.
const DRAIN: Duration = Duration::from_secs(3);

/// What the services of the socket need.
pub(super) struct Services {
    pub(super) socket: PathBuf,
    pub(super) node: Arc<Node>,
    pub(super) streaming: Arc<streaming::Server>,
    pub(super) counters: Counters,
}

impl Services {
    /// Serves the socket until `stop` becomes true.
    pub(super) async fn serve(&self, listener: UnixListener, stop: watch::Receiver<bool>) -> Result<()> {
        let mut asked = stop.clone();
        let server = transport::Server::builder()
            .initial_connection_window_size(1 << 20)
            .max_concurrent_streams(rpc::STREAMS)
            .layer(rpc::Calls::new(self.counters.measures.clone()))
            .add_routes(self.routes())
            .serve_with_incoming_shutdown(rpc::connections(listener, self.counters.clients.clone()), async move {
                let _ = asked.wait_for(|&s| s).await;
            });
        let served = drained(server, stop).await;
        served.map_err(|e| Error::internal(format!("serve {}: {e}", self.socket.display())))
    }

    fn routes(&self) -> Routes {
        let losses = self.counters.losses.clone();
        let runtime = Runtime::new(self.node.clone(), self.streaming.clone(), self.socket.clone(), losses);
        let runtime = RuntimeServiceServer::new(runtime)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let image = ImageServiceServer::new(images::Service(self.node.images.clone()))
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let own = ImagesServer::new(images::ProgressService(self.node.images.clone()));
        let pods = PodsServer::new(PodService(self.node.clone())).max_decoding_message_size(MAX_MESSAGE);
        let networks = NetworksServer::new(NetworkService(self.node.clone()));
        Routes::new(runtime).add_service(image).add_service(own).add_service(pods).add_service(networks)
    }
}

/// Runs a server to its end. Once `stop` is true, its requests in flight get [`DRAIN`]: an open event stream would hold
/// up a graceful shutdown indefinitely.
async fn drained(
    server: impl Future<Output = std::result::Result<(), transport::Error>>,
    mut stop: watch::Receiver<bool>,
) -> std::result::Result<(), transport::Error> {
    tokio::pin!(server);
    tokio::select! {
        ended = &mut server => return ended,
        _ = stop.wait_for(|&s| s) => {}
    }
    tokio::time::timeout(DRAIN, server).await.unwrap_or_else(|_| {
        tracing::info!("closing the streams that are still open");
        Ok(())
    })
}
