// SPDX-License-Identifier: Apache-2.0
//! The listener for operators: HTTP/1.1 on a unix socket for root, or on a loopback address.
//!
//! ```text
//! listen.rs (where) ─ serve.rs (bounds) ─ routes.rs (host.rs) ─ page.rs ─ sources.rs: /metrics
//!                                                    ├────────── health, network: /healthz
//!                                                    └────────── log_level.rs: /log-level
//! ```
//!
//! Who asks costs little and harms nobody: connections, headers, bodies and time are bounded, a connection carries one
//! request, and nothing is answered from a disk that may hang without a limit of its own.

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

/// The listener at work.
#[derive(Debug)]
pub struct Server {
    task: JoinHandle<()>,
    /// Removes the socket at the end.
    _place: listen::Place,
}

impl Server {
    /// Serves until it is dropped.
    pub fn start(listener: Listener, sources: Sources) -> Self {
        let (socket, place) = listener.into_parts();
        Self { task: tokio::spawn(serve::forever(socket, Arc::new(sources))), _place: place }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
