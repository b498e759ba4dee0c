// SPDX-License-Identifier: Apache-2.0
//! A registry as one pull sees it: the hosts to try, the reference, and one set of credentials.
//!
//! Hosts are tried in order: mirrors once each, the registry itself with retries and growing pauses. Whatever is
//! fetched is compared with its digest here (manifests, configs) or by who takes the bytes (layers). Nothing of one
//! [`Registry`] outlives its pull except idle connections, which carry no credentials.

mod blob;
mod challenge;
pub mod client;
pub mod credentials;
mod endpoint;
mod error;
pub mod manifest;
mod pace;
mod resolve;
mod tls;
mod token;

use std::time::Duration;

use tokio::sync::Mutex;

use crate::config::Config;
use crate::hosts::{self, Host};
use crate::reference::Reference;

pub use blob::Servers;
pub use client::Clients;
pub use credentials::Credentials;
use endpoint::{Ask, Endpoint};
use error::Failure;
pub use error::{Error, chain};
use pace::Pace;
pub use resolve::Resolved;

/// No pause between attempts is longer than this, except at the registry's own wish.
const MAX_PAUSE: Duration = Duration::from_secs(20);

/// The hosts of one registry for one pull.
#[derive(Debug)]
pub struct Registry {
    endpoints: Vec<Endpoint>,
    reference: Reference,
    config: Config,
}

impl Registry {
    /// Prepares the hosts; sends nothing.
    ///
    /// - Errors: [`Error::Tls`] when a host's certificates cannot be used.
    pub fn new(
        config: &Config,
        clients: &Clients,
        hosts: Vec<Host>,
        reference: &Reference,
        credentials: Option<Credentials>,
    ) -> Result<Self, Error> {
        let mut endpoints = Vec::new();
        for host in hosts {
            let address = host.base.host_str().unwrap_or("").to_owned();
            let client = clients.get(&host, hosts::is_loopback(&address))?;
            // A mirror is somebody else: it never gets what was given for the registry.
            let credentials = if host.is_origin { credentials.clone() } else { None };
            endpoints.push(Endpoint {
                host,
                client,
                clients: clients.clone(),
                credentials,
                repository: reference.path().to_owned(),
                registry: reference.host().to_owned(),
                patience: config.stall_timeout,
                proof: Mutex::new(None),
            });
        }
        Ok(Self { endpoints, reference: reference.clone(), config: config.clone() })
    }

    /// Whether a blob may come from somebody else than the registry itself.
    pub fn has_mirrors(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.host.pull && !endpoint.host.is_origin)
    }

    /// How often a host is asked: the last one is worth waiting for.
    fn attempts(&self, endpoint: &Endpoint) -> u32 {
        if endpoint.host.is_origin { self.config.attempts.max(1) } else { 1 }
    }

    /// The pause before the next attempt.
    fn pause(&self, attempt: u32, wish: Option<Duration>) -> Duration {
        let grown = self.config.first_pause.saturating_mul(1 << attempt.min(16)).min(MAX_PAUSE);
        wish.map_or(grown, |wish| wish.max(grown))
    }
}

/// The failures of all hosts, and what to say in the end.
#[derive(Debug, Default)]
struct Failures {
    passing: Vec<String>,
    mirror: Option<Error>,
    origin: Option<Error>,
}

impl Failures {
    fn add_passing(&mut self, endpoint: &Endpoint, why: &str) {
        let host = format!("{}: ", endpoint.name());
        self.passing.retain(|known| !known.starts_with(&host));
        self.passing.push(format!("{host}{why}"));
    }

    fn add_final(&mut self, endpoint: &Endpoint, error: Error) {
        let place = if endpoint.host.is_origin { &mut self.origin } else { &mut self.mirror };
        *place = Some(error);
    }

    /// The registry's own clear answer counts most. Without one the image may well be there: it is unavailable.
    fn into_error(mut self, what: &str) -> Error {
        if let Some(error) = self.origin {
            return error;
        }
        if let Some(error) = self.mirror {
            if self.passing.is_empty() {
                return error;
            }
            self.passing.insert(0, error.to_string());
        }
        let tried = if self.passing.is_empty() { "no host may be asked".to_owned() } else { self.passing.join("; ") };
        Error::Unavailable { what: what.to_owned(), tried }
    }
}
