// SPDX-License-Identifier: Apache-2.0
//! The name server of containers in user networks: one process for the node, which outlives the daemon.
//!
//! ```text
//! open.rs, rules.rs   in a container's network namespace: sockets at 127.0.0.11, and the way to them from port 53
//! serve.rs            in the host's: answers on the sockets of all containers
//! request.rs          what the daemon tells it, checked
//! ```
//!
//! The answers themselves are `gorae_names`.

mod open;
mod request;
mod rules;
mod serve;

pub use open::{Open, open};
pub use serve::serve;
