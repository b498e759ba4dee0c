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
    /// Where the server listens; port 0 takes any free one.
    pub address: SocketAddr,
    /// What it speaks TLS with, if at all.
    pub tls: Option<CertificateFiles>,
}

/// Checks the section. The certificate is read by the server, with each connection.
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
        _ => Err("streaming: tls_certificate and tls_key go together, and only one is there".into()),
    }
}
