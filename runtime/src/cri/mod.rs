// SPDX-License-Identifier: Apache-2.0
//! RuntimeService. Each call finds its object, runs the verb, and converts the result to a CRI message.
//!
//! ```text
//! service.rs ─┬─ pods.rs, containers.rs, sessions.rs, statistics.rs, events.rs ─ verbs of pod/ and container/
//!             │      └ verbs.rs (to completion), lists.rs (one message, or a stream)
//!             └─ daemon.rs
//! ```
//!
//! Failed calls are not logged here: the layer around the service opens a call's span and logs its failure.

mod containers;
mod daemon;
mod events;
mod lists;
mod pods;
mod service;
mod sessions;
mod statistics;
mod verbs;

pub use events::Losses;
pub use lists::{Items, MAX_MESSAGE};
pub use service::Runtime;
pub(crate) use verbs::to_completion;
