// SPDX-License-Identifier: Apache-2.0
//! HTTP clients by TLS settings, shared by all pulls for their connection pools. They carry no credentials.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Identity, redirect};

use super::error::{Error, chain};
use crate::hosts::Tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Idle connections are for the next layer, not for the next day.
const POOL_IDLE: Duration = Duration::from_secs(20);

/// The clients made so far, by TLS settings with the files' contents, and by whether the host is this machine.
#[derive(Debug, Default, Clone)]
pub struct Clients(Arc<Mutex<HashMap<Key, Client>>>);

type Key = (bool, bool, Vec<u8>);

impl Clients {
    /// A client for these settings.
    ///
    /// - Errors: [`Error::Tls`] when a certificate cannot be read or used.
    pub fn get(&self, tls: &Tls, loopback: bool) -> Result<Client, Error> {
        let read = |path: &Path| std::fs::read(path).map_err(|e| Error::Tls(format!("{}: {e}", path.display())));
        let authorities = tls.ca.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
        let mut named = tls.ca.iter().zip(&authorities);
        // Its whole content would be passed over in silence.
        if let Some((path, _)) = named.find(|(_, pem)| Certificate::from_pem_bundle(pem).is_ok_and(|c| c.is_empty())) {
            return Err(Error::Tls(format!("{}: there is no certificate in PEM in it", path.display())));
        }
        let mut identity = Vec::new();
        if let Some((certificate, key)) = &tls.client {
            identity = read(certificate)?;
            if let Some(key) = key {
                identity.push(b'\n');
                identity.extend(read(key)?);
            }
        }
        let key = (loopback, tls.skip_verify, [authorities.concat(), identity.clone()].join(&0));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = known.get(&key) {
            return Ok(client.clone());
        }
        let client = build(&authorities, &identity, tls.skip_verify, loopback)?;
        known.insert(key, client.clone());
        Ok(client)
    }

    /// Makes all clients anew from the next pull on, with the system's authorities as they are then: whoever adds the
    /// missing one must not have to restart the node's daemon.
    pub fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn build(authorities: &[Vec<u8>], identity: &[u8], skip_verify: bool, loopback: bool) -> Result<Client, Error> {
    let failed = |e: reqwest::Error| Error::Tls(chain(&e));
    let mut certificates = Vec::new();
    for pem in authorities {
        certificates.extend(Certificate::from_pem_bundle(pem).map_err(failed)?);
    }
    let mut identities = Vec::new();
    if !identity.is_empty() {
        identities.push(Identity::from_pem(identity).map_err(failed)?);
    }
    let prepare = |own_roots: bool| {
        let builder = plain(skip_verify, loopback);
        let builder = match (own_roots, certificates.is_empty()) {
            (true, _) => builder.tls_certs_only(certificates.clone()),
            (false, true) => builder,
            (false, false) => builder.tls_certs_merge(certificates.clone()),
        };
        identities.iter().cloned().fold(builder, |builder, identity| builder.identity(identity))
    };
    // A machine without CA certificates can still pull over plain http, and over https from the hosts it was given
    // an authority for; from any other the handshake then fails and says why.
    prepare(false).build().or_else(|_| prepare(true).build()).map_err(failed)
}

fn plain(skip_verify: bool, loopback: bool) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(concat!("gorae/", env!("CARGO_PKG_VERSION")))
        // Redirects are followed by hand: what may go along depends on where they lead.
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        .tcp_nodelay(true)
        .http2_adaptive_window(true)
        .tls_danger_accept_invalid_certs(skip_verify);
    // A proxy could not reach what is on this machine.
    if loopback { builder.no_proxy() } else { builder }
}
