// SPDX-License-Identifier: Apache-2.0
//! The hosts of one registry for one pull, and the state that all pulls share.

use crate::config::Config;
use crate::registry::client::Clients;
use crate::registry::credentials::Credentials;
use crate::registry::endpoint::Endpoint;
use crate::registry::error::Error;
use crate::registry::proof::Proofs;
use crate::registry::reach::Reach;
use crate::registry::site::Site;
use crate::registry::wait::Waits;
use gorae_image_formats::hosts::{self, Host};
use gorae_image_formats::reference::Reference;
use std::sync::Arc;
use std::time::Duration;

/// Longest pause between attempts, unless the registry requests a longer one.
const MAX_PAUSE: Duration = Duration::from_secs(20);

/// The hosts of one registry for one pull.
#[derive(Debug)]
pub struct Registry {
    pub endpoints: Vec<Endpoint>,
    pub reference: Reference,
    pub config: Config,
    pub waits: Arc<Waits>,
}

/// The state that all pulls of a node share.
#[derive(Debug, Default)]
pub struct Common {
    /// HTTP clients and their connections.
    pub clients: Clients,
    /// Hosts that were recently unreachable.
    pub reach: Reach,
}

/// What one pull asks for.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The image.
    pub reference: &'a Reference,
    /// For the registry itself, never for its mirrors.
    pub credentials: Option<Credentials>,
    /// Where long waits for the hosts are recorded.
    pub waits: Arc<Waits>,
}

impl Registry {
    /// Prepares the hosts; sends nothing.
    ///
    /// # Errors
    /// [`Error::Tls`] if a host's certificates cannot be used.
    pub fn new(config: &Config, common: &Common, hosts: Vec<Host>, asked: Asked<'_>) -> Result<Self, Error> {
        let Asked { reference, credentials, waits } = asked;
        let mut endpoints = Vec::new();
        for host in hosts {
            let address = host.base.host_str().unwrap_or("").to_owned();
            let client = common.clients.get(&host, hosts::is_loopback(&address))?;
            // A mirror is a third party: it never gets the credentials for the registry.
            let credentials = if host.is_origin { credentials.clone() } else { None };
            endpoints.push(Endpoint {
                site: Site { host, registry: reference.host().to_owned() },
                client,
                clients: common.clients.clone(),
                reach: common.reach.clone(),
                credentials,
                repository: reference.path().to_owned(),
                patience: config.stall_timeout,
                proofs: Proofs::default(),
            });
        }
        Ok(Self { endpoints, reference: reference.clone(), config: config.clone(), waits })
    }

    /// Whether a blob may come from a host other than the registry itself.
    pub fn has_mirrors(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.site.host.pull && !endpoint.site.host.is_origin)
    }

    /// How often to try a host: only the registry itself, which comes last, is worth retrying.
    pub fn attempts(&self, endpoint: &Endpoint) -> u32 {
        if endpoint.site.host.is_origin { self.config.attempts.max(1) } else { 1 }
    }

    /// The pause before the next attempt.
    pub fn pause(&self, attempt: u32, wish: Option<Duration>) -> Duration {
        let grown = self.config.first_pause.saturating_mul(1 << attempt.min(16)).min(MAX_PAUSE);
        wish.map_or(grown, |wish| wish.max(grown))
    }
}
