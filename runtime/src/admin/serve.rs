// SPDX-License-Identifier: Apache-2.0
//! Connections of the listener, within bounds.
//!
//! Nobody is turned away, for the last to come may be the one that matters: of too many connections the oldest ends. An
//! honest one is over within milliseconds.

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

/// Connections at the same time.
const CONNECTIONS: usize = 16;
/// How long a client may take for its headers.
const HEADERS_LIMIT: Duration = Duration::from_secs(5);
/// How long a connection may be there, answer included.
const LIMIT: Duration = Duration::from_secs(10);
/// Most headers of a request; Prometheus sends six.
const MOST_HEADERS: usize = 32;
/// Most bytes of headers, and of an answer that waits for its client.
const BUFFER: usize = 16 << 10;
/// How long no connection is taken when none can be: without a free descriptor the listener is ready all the time.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves one connection after the other; all of them end with this.
pub async fn forever(socket: Socket, sources: Arc<Sources>) {
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
                tracing::debug!(%error, "no connection of an operator can be accepted; it is tried again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// One request and its answer. A client that breaks off or takes too long has nobody to be told of it.
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
        Ok(Err(error)) => tracing::debug!(%error, "a connection of an operator broke off"),
        Err(_) => tracing::debug!(limit_s = LIMIT.as_secs(), "a connection of an operator took too long"),
    }
}
