// SPDX-License-Identifier: Apache-2.0
//! The session of a client's URL, from the HTTP upgrade on.

use crate::backend::Backend;
use crate::config::Config;
use crate::session::connection::Connection;
use crate::session::link::Link;
use crate::session::outbox::Outbox;
use crate::session::peer::Ends;
use crate::session::task::Task;
use crate::session::{spdy_forward, spdy_stdio, websocket_forward, websocket_stdio};
use crate::socket::Socket;
use crate::websocket::protocol::{Protocol, Version};
use http::Request;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

/// The request that a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The streams of a process.
    Process(Task),
    /// Connections to ports of a pod.
    Forward { pod: String, ports: Vec<u16> },
}

impl Wanted {
    /// The first part of the URL's path.
    pub(super) fn path(&self) -> &'static str {
        match self {
            Self::Process(Task::Exec(_)) => "exec",
            Self::Process(Task::Attach(_)) => "attach",
            Self::Forward { .. } => "portforward",
        }
    }
}

/// The protocol after the upgrade.
#[derive(Debug, Clone, Copy)]
pub(super) enum Transport {
    /// SPDY/3.1, with the rules of this version.
    Spdy(Version),
    /// WebSocket messages, with this subprotocol.
    WebSocket(Protocol),
}

impl Transport {
    fn is_tunnel(self) -> bool {
        matches!(self, Self::WebSocket(Protocol { tunnel: true, .. }))
    }
}

/// A session that begins once the response is sent.
#[derive(Debug)]
pub(super) struct Upgrade {
    connection: OnUpgrade,
    wanted: Wanted,
    transport: Transport,
}

impl Upgrade {
    /// Prepares the session that follows the response to `request`.
    pub(super) fn new(request: &mut Request<Incoming>, wanted: Wanted, transport: Transport) -> Self {
        Self { connection: hyper::upgrade::on(request), wanted, transport }
    }

    /// Takes the connection over from HTTP and runs the session to its end.
    pub(super) async fn serve(
        self,
        ends: Option<Ends>,
        config: &Config,
        shutdown: CancellationToken,
        backend: &impl Backend,
    ) {
        let Some(connection) = take_over(self.connection).await else { return };
        let outbox = Outbox::new(self.transport.is_tunnel());
        let link = &Link::new(outbox, config.clone(), shutdown, ends);
        match (self.wanted, self.transport) {
            (Wanted::Process(task), Transport::Spdy(version)) => {
                spdy_stdio::serve(connection, link, task, version, backend).await;
            }
            (Wanted::Process(task), Transport::WebSocket(protocol)) => {
                websocket_stdio::serve(connection, link, task, protocol, backend).await;
            }
            (Wanted::Forward { pod, ports }, Transport::WebSocket(Protocol { tunnel: false, codec, .. })) => {
                websocket_forward::serve(connection, link, (&pod, &ports), codec, backend).await;
            }
            (Wanted::Forward { pod, .. }, Transport::Spdy(_) | Transport::WebSocket(_)) => {
                spdy_forward::serve(connection, link, &pod, backend).await;
            }
        }
    }
}

/// Takes the connection over, with the bytes that were read past the request. `None`: the client has disconnected.
async fn take_over(connection: OnUpgrade) -> Option<Connection> {
    let parts = connection.await.ok()?.downcast::<TokioIo<Socket>>().ok()?;
    Some(Connection { stream: parts.io.into_inner(), leftover: parts.read_buf })
}
