// SPDX-License-Identifier: Apache-2.0
//! A host, and the registry itself as one.

use crate::hosts::error::Error;
use http::HeaderMap;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Where hosts are looked up, and which registries are reached without TLS.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Directories of directories with a `hosts.toml`; the first that has one for the registry counts.
    pub directories: &'a [PathBuf],
    /// Registries (`host` or `host:port`) reached over http. Loopback hosts always are.
    pub plain_http: &'a [String],
}

/// A place to get a registry's content from.
#[derive(Debug, Clone)]
pub struct Host {
    /// Everything up to and including `/v2`, without a slash at the end.
    pub base: Url,
    /// May turn tags into digests.
    pub resolve: bool,
    /// May serve manifests and blobs by digest.
    pub pull: bool,
    /// Is the registry itself, so that its users' credentials are for it.
    pub is_origin: bool,
    /// How to speak TLS.
    pub tls: Tls,
    /// How long connecting may take; `None` for the default.
    pub dial_timeout: Option<Duration>,
    /// The proxy to reach it by, in place of the environment's.
    pub proxy: Option<Proxy>,
    /// Headers for every request to it.
    pub headers: HeaderMap,
}

/// A proxy's address. It may contain a password, so it is not shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proxy(pub Url);

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proxy")
    }
}

/// TLS settings of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// PEM files with certificate authorities, besides the system's.
    pub ca: Vec<PathBuf>,
    /// PEM files with a client certificate and its key (which may be one file).
    pub client: Option<(PathBuf, Option<PathBuf>)>,
    /// Accept any certificate.
    pub skip_verify: bool,
}

impl Host {
    /// The registry itself: https, or http where that is safe or wanted.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn of_registry(settings: Settings<'_>, registry: &str) -> Result<Self, Error> {
        let address = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
        let plain = settings.plain_http.iter().any(|host| host == registry) || is_loopback(address);
        let scheme = if plain { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{address}/v2")).map_err(|_| Error::Name(registry.to_owned()))?;
        let (tls, headers) = (Tls::default(), HeaderMap::new());
        Ok(Host { base, resolve: true, pull: true, is_origin: true, tls, dial_timeout: None, proxy: None, headers })
    }
}

/// Whether traffic to `host[:port]` stays on this machine.
pub fn is_loopback(address: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{address}")) else { return false };
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}
