// SPDX-License-Identifier: Apache-2.0
//! The few rtnetlink requests that the node's side needs, each one message and its reply, in the caller's network namespace.
//!
//! ```text
//! bridges.rs, links.rs ───────────┐
//! addresses.rs ───────────────────┼─► socket.rs: one request and its replies
//! routes.rs, ways.rs, neighbours.rs ┘
//! ```
//! Blocking: the kernel replies at once unless its routing lock is busy (removing an interface holds it for tens of
//! milliseconds), so async callers use a blocking task. Only these files use the types of the netlink crates.

mod addresses;
mod bridges;
mod links;
mod neighbours;
mod notices;
mod routes;
mod socket;
mod ways;

pub use links::Link;
pub use notices::AddressNotices;
pub use routes::Route;
pub use socket::Rtnl;
pub use ways::Way;
