// SPDX-License-Identifier: Apache-2.0
//! Accepts the clients' connections. Each is a task that reads one request and then serves the session it asks for.

use crate::backend::Backend;
use crate::config::Config;
use crate::routes;
use crate::session::peer::{self, Ends};
use crate::socket::{Socket, Tls};
use crate::tls::Certificates;
use crate::tokens::Tokens;
use crate::upgrade::{Upgrade, Wanted};
use crate::waiting::Waiting;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a client may take to send the head of its request, and before that for the TLS handshake.
const HEAD: Duration = Duration::from_secs(10);
/// The most bytes of that head.
const HEAD_BYTES: usize = 64 * 1024;
/// How long to wait after a failed accept, because the next one usually fails too.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// What each connection needs.
pub(super) struct Service<B> {
    pub(super) backend: Arc<B>,
    pub(super) config: Config,
    pub(super) certificates: Option<Certificates>,
    pub(super) tokens: Arc<Tokens<Wanted>>,
    pub(super) waiting: Waiting,
    /// Cancelled when sessions should end themselves.
    pub(super) shutdown: CancellationToken,
    /// Cancelled when the remaining sessions are dropped.
    pub(super) abort: CancellationToken,
}

/// Serves connections until the shutdown.
pub(super) async fn accept<B: Backend>(listener: TcpListener, service: Arc<Service<B>>, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = service.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(tasks.spawn(until_abort(stream, service.clone()))),
            // Out of descriptors or memory, or a client that disconnected: none of these ends the listener.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a streaming connection");
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn until_abort<B: Backend>(stream: TcpStream, service: Arc<Service<B>>) {
    tokio::select! {
        () = service.abort.cancelled() => {}
        () = connection(stream, &service) => {}
    }
}

/// Serves one connection: a request, its response, and then the session if the response was an upgrade.
async fn connection<B: Backend>(stream: TcpStream, service: &Service<B>) {
    let tuned = stream.set_nodelay(true).and_then(|()| peer::keep_alive(&stream, service.config.silence));
    if let Err(error) = tuned {
        tracing::debug!(%error, "cannot set the options of a streaming connection");
    }
    // `None`: the client has just disconnected.
    let ends = Ends::of(&stream).ok();
    if let Some(upgrade) = request(stream, service).await {
        upgrade.serve(ends, &service.config, service.shutdown.clone(), service.backend.as_ref()).await;
    }
}

/// Reads and answers the request. `None`: no session follows, or the client did not get that far in time.
async fn request<B: Backend>(stream: TcpStream, service: &Service<B>) -> Option<Upgrade> {
    let upgrade = Mutex::new(None);
    let answer = service_fn(|mut request| {
        let (response, wanted) = routes::answer(&mut request, &service.tokens);
        *upgrade.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
        async move { Ok::<_, Infallible>(response) }
    });
    let http = async {
        let socket = secured(stream, service.certificates.as_ref()).await?;
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
        http.serve_connection(TokioIo::new(socket), answer).with_upgrades().await.ok()
    };
    let place = service.waiting.enter();
    let served = tokio::select! {
        served = http => served,
        () = place.taken() => None,
        () = service.shutdown.cancelled() => None,
    };
    drop(place);
    served.and_then(|()| upgrade.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Does the handshake, if the server uses TLS. `None`: it failed, and the client knows.
async fn secured(stream: TcpStream, certificates: Option<&Certificates>) -> Option<Socket> {
    let Some(certificates) = certificates else { return Some(Either::Left(stream)) };
    let acceptor = TlsAcceptor::from(certificates.latest().await);
    match timeout(HEAD, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(Either::Right(Tls::from(stream))),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the TLS handshake with a streaming client failed");
            None
        }
        Err(_late) => None,
    }
}
