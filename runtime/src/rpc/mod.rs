// SPDX-License-Identifier: Apache-2.0
//! The CRI socket: everything between the kernel's listener and the handlers.
//!
//! ```text
//! client ─ connection.rs (gorae_headers: what h2 would refuse; time limits) ─ tonic/h2 ─ layer.rs ─ handlers
//!               └─────────── clients.rs: what each client holds ──────────── call.rs ─┘
//!
//! call.rs ─ span.rs (method.rs, subject.rs, trace.rs): which call, about what, for whom
//!     └ measures.rs: how many, how long      └ failures.rs (severity.rs, repeats.rs): the log
//! ```
//!
//! tonic and h2 implement gRPC and HTTP/2, with their own bounds on headers, resets, CONTINUATION, SETTINGS and PING.

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

/// Most requests in flight on one connection: more than kubelet has with the most pods. At the limit, its client waits.
pub const STREAMS: u32 = 1000;
/// The pause after a failed accept: while no descriptor is free, the listener stays ready and every accept fails.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts the connections of clients; the stream never ends.
pub fn connections(
    listener: UnixListener,
    clients: Arc<Clients>,
) -> impl Stream<Item = io::Result<Connection<UnixStream>>> {
    stream::unfold((listener, clients), async |(listener, clients)| {
        let mut warned = false;
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    if !std::mem::replace(&mut warned, true) {
                        tracing::warn!(%error, "cannot accept a client's connection; retrying");
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
