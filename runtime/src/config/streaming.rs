// SPDX-License-Identifier: Apache-2.0
//! `[streaming]`: where exec, attach and port-forward sessions are served.

use super::paths::absolute;
use super::raw::RawStreaming;
use gorae_streaming::CertificateFiles;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The checked section.
#[derive(Debug, Clone)]
pub struct Streaming {
    /// Where the server listens; port 0 picks any free port.
    pub address: SocketAddr,
    /// The files of the TLS certificate and its key; `None` for plain HTTP.
    pub tls: Option<CertificateFiles>,
}

/// Checks the section. The server reads the certificate itself, and checks on each connection whether it has changed.
///
/// # Errors
/// A sentence that begins with the key.
pub fn check(raw: RawStreaming) -> Result<Streaming, String> {
    let address = SocketAddr::new(raw.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), raw.port);
    Ok(Streaming { address, tls: tls(raw.tls_certificate, raw.tls_key)? })
}

fn tls(certificate: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<CertificateFiles>, String> {
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            let certificate = absolute("streaming.tls_certificate", certificate)?;
            Ok(Some(CertificateFiles { certificate, key: absolute("streaming.tls_key", key)? }))
        }
        _ => Err("streaming: tls_certificate and tls_key must be set together, but only one is".into()),
    }
}
