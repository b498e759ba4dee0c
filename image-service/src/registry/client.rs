// SPDX-License-Identifier: Apache-2.0
//! HTTP clients by TLS settings. All pulls share them for their connection pools. They carry no credentials.

use crate::registry::error::{Error, chain};
use gorae_image_formats::hosts::{self, Host};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Proxy, redirect};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Idle connections are kept for the next layer, not longer.
const POOL_IDLE: Duration = Duration::from_secs(20);

/// The clients created so far, by the settings of their hosts and the contents of the files named in them.
#[derive(Debug, Default, Clone)]
pub struct Clients(Arc<Mutex<HashMap<Key, Client>>>);

/// Everything that distinguishes one client from another.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    is_loopback: bool,
    skip_verify: bool,
    dial_timeout: Option<Duration>,
    proxy: Option<hosts::Proxy>,
    files: Vec<u8>,
}

impl Clients {
    /// Returns a client for the settings of a host.
    ///
    /// # Errors
    /// [`Error::Tls`] if a certificate cannot be read or used, [`Error::Proxy`].
    pub fn get(&self, host: &Host, is_loopback: bool) -> Result<Client, Error> {
        let tls = &host.tls;
        let read = |path: &Path| std::fs::read(path).map_err(|e| Error::Tls(format!("{}: {e}", path.display())));
        let authorities = tls.ca.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
        let mut named = tls.ca.iter().zip(&authorities);
        // Otherwise the whole file would be ignored silently.
        if let Some((path, _)) = named.find(|(_, pem)| Certificate::from_pem_bundle(pem).is_ok_and(|c| c.is_empty())) {
            return Err(Error::Tls(format!("{}: it does not contain a PEM certificate", path.display())));
        }
        let mut identity = Vec::new();
        if let Some((certificate, key)) = &tls.client {
            identity = read(certificate)?;
            if let Some(key) = key {
                identity.push(b'\n');
                identity.extend(read(key)?);
            }
        }
        let files = [authorities.concat(), identity.clone()].join(&0);
        let (dial_timeout, proxy) = (host.dial_timeout, host.proxy.clone());
        let key = Key { is_loopback, skip_verify: tls.skip_verify, dial_timeout, proxy, files };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = known.get(&key) {
            return Ok(client.clone());
        }
        let client = build(&authorities, &identity, &key)?;
        known.insert(key, client.clone());
        Ok(client)
    }

    /// Drops all clients, so that the next pull creates new ones and loads the system's authorities again: an operator who
    /// adds a missing authority must not have to restart the daemon.
    pub fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The authorities that a client trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Roots {
    /// Those of the machine, and those that are configured for the host.
    OfMachine,
    /// Only those that are configured for the host.
    OfHost,
}

fn build(authorities: &[Vec<u8>], identity: &[u8], key: &Key) -> Result<Client, Error> {
    let failed = |e: reqwest::Error| Error::Tls(chain(&e));
    let mut certificates = Vec::new();
    for pem in authorities {
        certificates.extend(Certificate::from_pem_bundle(pem).map_err(failed)?);
    }
    let mut identities = Vec::new();
    if !identity.is_empty() {
        identities.push(Identity::from_pem(identity).map_err(failed)?);
    }
    let proxy = key.proxy.as_ref().map(proxy).transpose()?;
    let prepare = |roots: Roots| {
        let builder = plain(key, proxy.clone());
        let builder = match (roots, certificates.is_empty()) {
            (Roots::OfHost, _) => builder.tls_certs_only(certificates.clone()),
            (Roots::OfMachine, true) => builder,
            (Roots::OfMachine, false) => builder.tls_certs_merge(certificates.clone()),
        };
        identities.iter().cloned().fold(builder, |builder, identity| builder.identity(identity))
    };
    // A machine without CA certificates can still pull over plain http, and over https from hosts with a configured
    // authority. With any other host the handshake fails and says why.
    prepare(Roots::OfMachine).build().or_else(|_| prepare(Roots::OfHost).build()).map_err(failed)
}

/// Converts a proxy. The error does not show its address, which may contain a password.
fn proxy(proxy: &hosts::Proxy) -> Result<Proxy, Error> {
    Proxy::all(proxy.0.clone()).map_err(|_| Error::Proxy)
}

fn plain(key: &Key, proxy: Option<Proxy>) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(concat!("gorae/", env!("CARGO_PKG_VERSION")))
        // We follow redirects ourselves, since the target decides which headers to send.
        .redirect(redirect::Policy::none())
        .connect_timeout(key.dial_timeout.unwrap_or(CONNECT_TIMEOUT))
        .pool_idle_timeout(POOL_IDLE)
        .tcp_nodelay(true)
        .http2_adaptive_window(true)
        .tls_danger_accept_invalid_certs(key.skip_verify);
    match proxy {
        Some(proxy) => builder.no_proxy().proxy(proxy),
        // A proxy from the environment could not reach a service on this machine.
        None if key.is_loopback => builder.no_proxy(),
        None => builder,
    }
}
