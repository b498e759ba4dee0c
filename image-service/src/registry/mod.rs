// SPDX-License-Identifier: Apache-2.0
//! A registry, as seen by one pull: the hosts to try, the reference, and one set of credentials.
//!
//! Hosts are tried in order: mirrors once each, the registry itself with retries and exponential backoff. Hosts that were
//! recently unreachable come last. All fetched data is checked against its digest, here (manifests, configs) or by the
//! consumer (layers). Nothing of a [`Registry`] outlives its pull except idle connections, which carry no credentials, and
//! the list of unreachable hosts.

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
pub use endpoints::{Asked, Common, Registry};
pub use error::{Error, chain};
pub use resolve::Resolved;
pub use wait::Waits;
