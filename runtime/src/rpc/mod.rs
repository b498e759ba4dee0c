// SPDX-License-Identifier: Apache-2.0
//! The CRI socket between the kernel and the handlers.
//!
//! ```text
//! client ─ connection.rs (gorae_headers: what h2 would not take; time limits) ─ tonic/h2 ─ layer.rs ─ handlers
//!               └──────────────── clients.rs: who holds how much ──────────── call.rs ─┘
//!
//! call.rs ─ span.rs (method.rs, subject.rs, trace.rs): which call, about what, for whom
//!     └ measures.rs: how many, how long      └ failures.rs (severity.rs, repeats.rs): the log
//! ```
//!
//! HTTP/2 and gRPC are tonic's and h2's, with their own bounds on headers, resets, CONTINUATION, SETTINGS and PING.

mod bodies;
mod call;
pub mod clients;
pub mod connection;
mod failures;
mod layer;
mod measures;
mod method;
mod repeats;
mod severity;
mod span;
mod subject;
mod trace;

pub use layer::Calls;
pub use measures::Measures;

use clients::Clients;
use connection::Connection;
use futures_util::stream;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::Stream;

/// Requests that one connection may have open. More than kubelet has for the most pods; its client waits for a place.
pub const STREAMS: u32 = 1000;
/// How long no connection is taken when none can be: without a free descriptor the listener is ready all the time.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections that clients make, one after the other, without an end.
pub fn connections(
    listener: UnixListener,
    clients: Arc<Clients>,
) -> impl Stream<Item = io::Result<Connection<UnixStream>>> {
    stream::unfold((listener, clients), async |(listener, clients)| {
        let mut told = false;
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(%error, "no connection can be accepted; it is tried again");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        Some((Ok(Connection::new(stream, clients.admit())), (listener, clients)))
    })
}

#[cfg(test)]
mod tests;
