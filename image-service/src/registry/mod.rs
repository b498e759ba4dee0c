// SPDX-License-Identifier: Apache-2.0
//! A registry as one pull sees it: the hosts to try, the reference, and one set of credentials.
//!
//! Hosts are tried in order: mirrors once each, the registry itself with retries and exponential backoff; hosts that were
//! unreachable recently come last. Whatever is fetched is compared with its digest, here (manifests, configs) or by the
//! consumer of the bytes (layers). Nothing of one [`Registry`] outlives its pull except idle connections, which carry no
//! credentials, and the memory of unreachable hosts.

mod ask;
mod blob;
mod client;
pub mod credentials;
mod endpoint;
mod endpoints;
mod error;
mod pace;
mod proof;
mod reach;
mod refusal;
mod resolve;
mod rest;
mod site;
mod small;
mod tls;
mod token;
mod turn;
mod turns;
mod wait;

pub use blob::{Download, Ended, Servers};
pub use credentials::Credentials;
pub use endpoints::{Common, Registry};
pub use error::{Error, chain};
pub use resolve::Resolved;
pub use wait::Waits;
