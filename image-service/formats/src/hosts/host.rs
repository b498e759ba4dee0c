// SPDX-License-Identifier: Apache-2.0
//! One host of a registry, and the registry itself as a host.

use crate::hosts::error::Error;
use http::HeaderMap;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Where to look up hosts, and which registries are reached without TLS.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Directories with one subdirectory per registry, which may hold a `hosts.toml`; the first match is used.
    pub directories: &'a [PathBuf],
    /// Registries (`host` or `host:port`) to reach over http. Loopback hosts are always reached that way.
    pub plain_http: &'a [String],
}

/// A host that serves a registry's content.
#[derive(Debug, Clone)]
pub struct Host {
    /// The URL that request paths are appended to, usually ending in `/v2`, without a trailing slash.
    pub base: Url,
    /// Whether it may resolve tags to digests.
    pub resolve: bool,
    /// Whether it may serve manifests and blobs by digest.
    pub pull: bool,
    /// Whether it is the registry itself, so that it may receive its users' credentials.
    pub is_origin: bool,
    /// Its TLS settings.
    pub tls: Tls,
    /// How long a connect may take; `None` for the default.
    pub dial_timeout: Option<Duration>,
    /// The proxy to use instead of the one from the environment.
    pub proxy: Option<Proxy>,
    /// Headers to add to every request.
    pub headers: HeaderMap,
}

/// The URL of a proxy. It may contain a password, so it is never shown.
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
    /// PEM files with certificate authorities, in addition to the system's.
    pub ca: Vec<PathBuf>,
    /// PEM files with a client certificate and its key (one file may hold both).
    pub client: Option<(PathBuf, Option<PathBuf>)>,
    /// Accept any certificate.
    pub skip_verify: bool,
}

impl Host {
    /// The registry itself, over https, or over http if that is safe or configured.
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
