// SPDX-License-Identifier: Apache-2.0
//! The server: its socket, its URLs and the connections that run.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gorae_proto::cri;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;

use super::backend::{AttachRequest, Backend, ExecRequest};
use super::routes::{self, Upgrade, Wanted};
use super::session::peer::{self, Ends};
use super::session::process::Task;
use super::socket::{Socket, Tls};
use super::tls::{CertificateFiles, Certificates};
use super::tokens::{TokenRefused, Tokens};
use super::waiting::Waiting;

/// How long a client has to send the head of its request, and before it for the handshake of TLS.
const HEAD: Duration = Duration::from_secs(10);
/// How long sessions have to say their last words at shutdown.
const GRACE: Duration = Duration::from_millis(900);

/// How long sessions have to be dropped after that.
const ABORT: Duration = Duration::from_secs(1);

/// Limits of the server.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen. Port 0 takes a free one. URLs name this address, so it is no wildcard.
    pub bind: SocketAddr,
    /// A session without data for so long is ended; zero: never.
    pub idle_timeout: Duration,
    /// How long a session goes on after its process ended while a child still holds the outputs and is silent.
    pub drain: Duration,
    /// How long the kernel of a client may answer nothing before its session ends: the client vanished without a word.
    /// Longer when it stood still before, since the kernel asks more and more seldom.
    pub silence: Duration,
    /// Speak TLS, with this certificate.
    pub tls: Option<CertificateFiles>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            idle_timeout: Duration::from_secs(4 * 60 * 60),
            drain: Duration::from_secs(5),
            silence: Duration::from_secs(60),
            tls: None,
        }
    }
}

/// A running streaming server. Dropping it stops it without a farewell; see [`Server::shutdown`].
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    tokens: Arc<Tokens<Wanted>>,
    /// Sessions end themselves.
    shutdown: CancellationToken,
    /// Whatever is left is dropped.
    abort: CancellationToken,
    tasks: TaskTracker,
}

/// What each connection needs.
struct Shared<B> {
    backend: Arc<B>,
    config: Config,
    certificates: Option<Certificates>,
    tokens: Arc<Tokens<Wanted>>,
    waiting: Waiting,
    shutdown: CancellationToken,
    abort: CancellationToken,
}

impl Server {
    /// Binds the socket and serves it in the current runtime.
    ///
    /// # Errors
    /// When the address is a wildcard, which no URL can name, or cannot be bound; when the certificate cannot be used.
    pub async fn start<B: Backend>(config: Config, backend: Arc<B>) -> io::Result<Self> {
        if config.bind.ip().is_unspecified() {
            let text = format!("streaming address {} is a wildcard and cannot stand in a URL", config.bind);
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
        let shared = Arc::new(Shared {
            backend,
            config,
            certificates,
            tokens: server.tokens.clone(),
            waiting: Waiting::default(),
            shutdown: server.shutdown.clone(),
            abort: server.abort.clone(),
        });
        server.tasks.spawn(accept(listener, shared, server.tasks.clone()));
        Ok(server)
    }

    /// Where the server listens, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Issues the URL at which a client can run a command. Whether the container exists and runs is the caller's
    /// to check before.
    ///
    /// # Errors
    /// `InvalidArgument` for a request that names no container, no stream, or a terminal with stderr;
    /// `ResourceExhausted` while too many URLs wait.
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

    /// Issues the URL at which a client can take part in a container's stdio.
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

    /// Issues the URL at which a client can reach ports of a pod. Ports of the request matter only to old clients.
    ///
    /// # Errors
    /// `InvalidArgument` without a pod or with a port outside 1..=65535; `ResourceExhausted` as the others.
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

    /// Stops listening, tells every client that its session ends, and closes everything within a second. A session
    /// that cannot be dropped, since a call of its backend holds its thread, is given up a second later.
    pub async fn shutdown(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        if timeout(GRACE, self.tasks.wait()).await.is_ok() {
            return;
        }
        self.abort.cancel();
        if timeout(ABORT, self.tasks.wait()).await.is_err() {
            tracing::error!(sessions = self.tasks.len(), "streaming sessions did not end and are given up");
        }
    }

    /// Connections that are served, for tests that look for what is left.
    #[cfg(test)]
    pub(super) fn connections(&self) -> usize {
        // One task is the listener, up to the shutdown.
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

async fn accept<B: Backend>(listener: TcpListener, shared: Arc<Shared<B>>, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = shared.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let shared = shared.clone();
                tasks.spawn(async move {
                    tokio::select! {
                        () = shared.abort.cancelled() => {}
                        () = connection(stream, &shared) => {}
                    }
                });
            }
            // Out of descriptors or memory, or a client that left: none of it ends the listener.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a streaming connection");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// One connection: a request, its answer, and then the session if the answer was an upgrade.
async fn connection<B: Backend>(stream: TcpStream, shared: &Shared<B>) {
    let tuned = stream.set_nodelay(true).and_then(|()| peer::keep_alive(&stream, shared.config.silence));
    if let Err(error) = tuned {
        tracing::debug!(%error, "cannot set options of a streaming connection");
    }
    // Without it the client has just gone.
    let ends = Ends::of(&stream).ok();
    let upgrade = std::sync::Mutex::new(None);
    let service = service_fn(|mut request| {
        let (response, wanted) = routes::answer(&mut request, &shared.tokens);
        *upgrade.lock().expect("no panic under this lock") = wanted;
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    let http = async {
        let Some(socket) = secured(stream, shared.certificates.as_ref()).await else { return false };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(64 * 1024);
        http.serve_connection(TokioIo::new(socket), service).with_upgrades().await.is_ok()
    };
    let place = shared.waiting.enter();
    let served = tokio::select! {
        served = http => served,
        () = place.taken() => return,
        () = shared.shutdown.cancelled() => return,
    };
    drop(place);
    let wanted: Option<Upgrade> = upgrade.into_inner().expect("no panic under this lock");
    let (true, Some(wanted)) = (served, wanted) else { return };
    let Some(stream) = wanted.stream().await else { return };
    wanted.plan.serve(stream, ends, &shared.config, shared.shutdown.clone(), shared.backend.as_ref()).await;
}

/// Does the handshake, when the server speaks TLS. `None`: it failed, and the client knows.
async fn secured(stream: TcpStream, certificates: Option<&Certificates>) -> Option<Socket> {
    let Some(certificates) = certificates else { return Some(Either::Left(stream)) };
    let acceptor = TlsAcceptor::from(certificates.latest().await);
    match timeout(HEAD, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(Either::Right(Tls::from(stream))),
        Ok(Err(error)) => {
            tracing::debug!(%error, "handshake with a streaming client failed");
            None
        }
        Err(_late) => None,
    }
}
