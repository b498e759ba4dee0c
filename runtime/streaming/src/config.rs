// SPDX-License-Identifier: Apache-2.0
//! The configuration of a server.

use crate::tls::CertificateFiles;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The address and the limits of a server.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address to listen on. Port 0 picks a free one. URLs contain this address, so a wildcard is refused.
    pub bind: SocketAddr,
    /// A session in which no data moves for this long is ended. Zero: never.
    pub idle_timeout: Duration,
    /// How long a session outlives its process while a child still holds the outputs open and writes nothing.
    pub drain: Duration,
    /// How long a client's kernel may stay silent before its session ends, because the client vanished without closing.
    /// It takes longer when the connection was stalled before, since the kernel probes at growing intervals.
    pub silence: Duration,
    /// Use TLS, with this certificate.
    pub tls: Option<CertificateFiles>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            idle_timeout: Duration::from_secs(4 * 60 * 60),
            drain: Duration::from_secs(5),
            silence: Duration::from_secs(60),
            tls: None,
        }
    }
}
