// SPDX-License-Identifier: Apache-2.0
//! A registry as one pull sees it: the hosts to try, the reference, and one set of credentials.
//!
//! Hosts are tried in order: mirrors once each, the registry itself with retries and growing pauses; those that could not
//! be reached lately come last. Whatever is fetched is compared with its digest here (manifests, configs) or by who takes
//! the bytes (layers). Nothing of one [`Registry`] outlives its pull except idle connections, which carry no
//! credentials, and the memory of who could not be reached.

mod blob;
pub mod client;
pub mod credentials;
mod endpoint;
mod error;
mod pace;
mod reach;
mod resolve;
mod rest;
mod tls;
mod token;
mod turns;
mod wait;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::config::Config;
use gorae_image_formats::hosts::{self, Host};
use gorae_image_formats::reference::Reference;

pub use blob::{Download, Ended, Servers};
pub use client::Clients;
pub use credentials::Credentials;
use endpoint::{Ask, Endpoint};
use error::Failure;
pub use error::{Error, chain};
use pace::Pace;
pub use reach::Reach;
pub use resolve::Resolved;
pub use wait::Waits;

/// No pause between attempts is longer than this, except at the registry's own wish.
const MAX_PAUSE: Duration = Duration::from_secs(20);

/// The hosts of one registry for one pull.
#[derive(Debug)]
pub struct Registry {
    endpoints: Vec<Endpoint>,
    reference: Reference,
    config: Config,
    waits: Arc<Waits>,
}

/// What all pulls of a node have in common.
#[derive(Debug, Default)]
pub struct Common {
    /// Connections.
    pub clients: Clients,
    /// Hosts that could not be reached lately.
    pub reach: Reach,
}

impl Registry {
    /// Prepares the hosts; sends nothing. Who is waited for stands in `waits`.
    ///
    /// - Errors: [`Error::Tls`] when a host's certificates cannot be used.
    pub fn new(
        config: &Config,
        common: &Common,
        hosts: Vec<Host>,
        reference: &Reference,
        credentials: Option<Credentials>,
        waits: Arc<Waits>,
    ) -> Result<Self, Error> {
        let mut endpoints = Vec::new();
        for host in hosts {
            let address = host.base.host_str().unwrap_or("").to_owned();
            let client = common.clients.get(&host, hosts::is_loopback(&address))?;
            // A mirror is somebody else: it never gets what was given for the registry.
            let credentials = if host.is_origin { credentials.clone() } else { None };
            endpoints.push(Endpoint {
                host,
                client,
                clients: common.clients.clone(),
                reach: common.reach.clone(),
                credentials,
                repository: reference.path().to_owned(),
                registry: reference.host().to_owned(),
                patience: config.stall_timeout,
                proof: Mutex::new(None),
            });
        }
        Ok(Self { endpoints, reference: reference.clone(), config: config.clone(), waits })
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
