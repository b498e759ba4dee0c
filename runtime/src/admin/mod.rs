// SPDX-License-Identifier: Apache-2.0
//! The listener for operators: HTTP/1.1 on a unix socket for root, or on a loopback address.
//!
//! ```text
//! listen.rs (where) ─ serve.rs (bounds) ─ routes.rs (host.rs) ─ page.rs ─ sources.rs: /metrics
//!                                                    ├────────── health, network: /healthz
//!                                                    └────────── log_level.rs: /log-level
//! ```
//!
//! A client costs little and cannot starve others: connections, headers, bodies and time are bounded, and a connection
//! carries one request. Anything read from a disk that may hang has a time limit of its own.

mod host;
mod listen;
mod log_level;
mod machine;
mod page;
mod routes;
mod serve;
mod sources;

pub use listen::Listener;
pub use sources::{Counters, Sources};

use std::sync::Arc;
use tokio::task::JoinHandle;

/// The running listener.
#[derive(Debug)]
pub struct Server {
    task: JoinHandle<()>,
    /// Removes the socket when this is dropped.
    _path: listen::SocketPath,
}

impl Server {
    /// Serves until it is dropped.
    pub fn start(listener: Listener, sources: Sources) -> Self {
        let (socket, path) = listener.into_parts();
        Self { task: tokio::spawn(serve::accept(socket, Arc::new(sources))), _path: path }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
