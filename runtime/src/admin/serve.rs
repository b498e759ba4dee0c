// SPDX-License-Identifier: Apache-2.0
//! Accepts and serves the listener's connections, within bounds.
//!
//! No client is turned away, because the newest may be the one that matters. When there are too many connections, the
//! oldest is closed: a well-behaved one is finished within milliseconds.

use super::listen::{Peer, Socket, Stream};
use super::routes;
use super::sources::Sources;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};

/// Most connections at the same time.
const CONNECTIONS: usize = 16;
/// How long a client may take to send its headers.
const HEADERS_LIMIT: Duration = Duration::from_secs(5);
/// How long a connection may last, response included.
const LIMIT: Duration = Duration::from_secs(10);
/// Most headers in a request; Prometheus sends six.
const MOST_HEADERS: usize = 32;
/// Most bytes of headers, and of a response that the client has not read yet.
const BUFFER: usize = 16 << 10;
/// The pause after a failed accept: while no descriptor is free, the listener stays ready and every accept fails.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections and serves each in a task of its own. Dropping this future ends all of them.
pub async fn accept(socket: Socket, sources: Arc<Sources>) {
    let (mut tasks, mut order) = (JoinSet::new(), VecDeque::new());
    loop {
        while tasks.try_join_next().is_some() {}
        order.retain(|task: &AbortHandle| !task.is_finished());
        match socket.accept().await {
            Ok((stream, peer)) => {
                if order.len() >= CONNECTIONS
                    && let Some(oldest) = order.pop_front()
                {
                    oldest.abort();
                }
                order.push_back(tasks.spawn(connection(stream, peer, sources.clone())));
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept an operator's connection; retrying");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Serves one request. A client that disconnects or takes too long is only worth a debug line.
async fn connection(stream: Box<dyn Stream>, peer: Peer, sources: Arc<Sources>) {
    let answer = service_fn(move |request| {
        let sources = sources.clone();
        async move { Ok::<_, Infallible>(routes::answer(request, peer, &sources).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_LIMIT)
        .max_headers(MOST_HEADERS)
        .max_buf_size(BUFFER)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    match tokio::time::timeout(LIMIT, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an operator's connection failed"),
        Err(_) => tracing::debug!(limit_s = LIMIT.as_secs(), "an operator's connection timed out"),
    }
}
