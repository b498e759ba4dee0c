// SPDX-License-Identifier: Apache-2.0
//! The server: its start, the URLs it issues, and its shutdown.

use crate::backend::{AttachRequest, Backend, ExecRequest};
use crate::config::Config;
use crate::listener::{Service, accept};
use crate::session::task::Task;
use crate::tls::Certificates;
use crate::tokens::{TokenRefused, Tokens};
use crate::upgrade::Wanted;
use crate::waiting::Waiting;
use gorae_proto::cri;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;

/// How long sessions have at shutdown to send their last frames.
const GRACE: Duration = Duration::from_millis(900);
/// How long sessions may take after that to be dropped.
const ABORT: Duration = Duration::from_secs(1);

/// A running streaming server. Dropping it cuts its sessions off; [`Server::shutdown`] ends them in order.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    tokens: Arc<Tokens<Wanted>>,
    /// Tells sessions to end.
    shutdown: CancellationToken,
    /// Drops the remaining sessions.
    abort: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Binds the socket and serves it in the current tokio runtime.
    ///
    /// # Errors
    /// `InvalidInput` when the address is a wildcard, which a URL cannot name, or the certificate cannot be used; the
    /// kernel's error when the address cannot be bound.
    pub async fn start<B: Backend>(config: Config, backend: Arc<B>) -> io::Result<Self> {
        if config.bind.ip().is_unspecified() {
            let text = format!(
                "streaming address {} is a wildcard, which clients cannot connect to; set the address of one interface",
                config.bind
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let certificates = config.tls.clone().map(Certificates::load).transpose();
        let certificates = certificates.map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        let bound = TcpListener::bind(config.bind).await;
        let listener = bound.map_err(|e| io::Error::new(e.kind(), format!("listen on {}: {e}", config.bind)))?;
        let server = Self {
            address: listener.local_addr()?,
            scheme: if certificates.is_some() { "https" } else { "http" },
            tokens: Arc::default(),
            shutdown: CancellationToken::new(),
            abort: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let service = Arc::new(Service {
            backend,
            config,
            certificates,
            tokens: server.tokens.clone(),
            waiting: Waiting::default(),
            shutdown: server.shutdown.clone(),
            abort: server.abort.clone(),
        });
        server.tasks.spawn(accept(listener, service, server.tasks.clone()));
        Ok(server)
    }

    /// The address on which the server listens, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Issues the URL at which a client can run a command. The caller has checked that the container exists and is
    /// running.
    ///
    /// # Errors
    /// `InvalidArgument` for a request without a container or a stream, or with both a terminal and stderr;
    /// `ResourceExhausted` while too many URLs wait for their client.
    pub fn exec_url(&self, request: &cri::ExecRequest) -> Result<String, Status> {
        check_stdio(&request.container_id, request.tty, [request.stdin, request.stdout, request.stderr])?;
        self.url(Wanted::Process(Task::Exec(ExecRequest {
            container_id: request.container_id.clone(),
            command: request.cmd.clone(),
            tty: request.tty,
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            size: None,
        })))
    }

    /// Issues the URL at which a client can attach to a container's stdio.
    ///
    /// # Errors
    /// As [`Server::exec_url`].
    pub fn attach_url(&self, request: &cri::AttachRequest) -> Result<String, Status> {
        check_stdio(&request.container_id, request.tty, [request.stdin, request.stdout, request.stderr])?;
        self.url(Wanted::Process(Task::Attach(AttachRequest {
            container_id: request.container_id.clone(),
            tty: request.tty,
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
        })))
    }

    /// Issues the URL at which a client can reach ports of a pod. Only old clients use the ports of the request.
    ///
    /// # Errors
    /// `InvalidArgument` without a pod or with a port outside 1..=65535; `ResourceExhausted` as [`Server::exec_url`].
    pub fn port_forward_url(&self, request: &cri::PortForwardRequest) -> Result<String, Status> {
        if request.pod_sandbox_id.is_empty() {
            return Err(Status::invalid_argument("missing required pod_sandbox_id"));
        }
        let port = |port: &i32| u16::try_from(*port).ok().filter(|port| *port > 0);
        let ports: Option<Vec<u16>> = request.port.iter().map(port).collect();
        let ports = ports.ok_or_else(|| Status::invalid_argument("a port is outside 1..65535"))?;
        self.url(Wanted::Forward { pod: request.pod_sandbox_id.clone(), ports })
    }

    fn url(&self, wanted: Wanted) -> Result<String, Status> {
        let path = wanted.path();
        let token = self.tokens.issue(wanted).map_err(|refused| match refused {
            TokenRefused::Full => Status::resource_exhausted(refused.to_string()),
            TokenRefused::Random(_) => Status::internal(refused.to_string()),
        })?;
        Ok(format!("{}://{}/{path}/{token}", self.scheme, self.address))
    }

    /// Stops listening, tells every client that its session ends, and closes everything within a second. A session that
    /// cannot be dropped, because a backend call blocks its thread, is abandoned a second later.
    pub async fn shutdown(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        if timeout(GRACE, self.tasks.wait()).await.is_ok() {
            return;
        }
        self.abort.cancel();
        if timeout(ABORT, self.tasks.wait()).await.is_err() {
            tracing::error!(sessions = self.tasks.len(), "streaming sessions did not end and are abandoned");
        }
    }

    /// Counts the connections in service, for tests that look for leaks.
    #[cfg(test)]
    pub(super) fn connections(&self) -> usize {
        // One task is the listener, until the shutdown.
        self.tasks.len() - usize::from(!self.shutdown.is_cancelled())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.abort.cancel();
    }
}

fn check_stdio(container_id: &str, tty: bool, [stdin, stdout, stderr]: [bool; 3]) -> Result<(), Status> {
    if container_id.is_empty() {
        return Err(Status::invalid_argument("missing required container_id"));
    }
    if tty && stderr {
        return Err(Status::invalid_argument("tty and stderr cannot both be true"));
    }
    if !(stdin || stdout || stderr) {
        return Err(Status::invalid_argument("one of stdin, stdout, or stderr must be set"));
    }
    Ok(())
}
