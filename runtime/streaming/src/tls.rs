// SPDX-License-Identifier: Apache-2.0
//! The server's certificate and key: checked at start, and reloaded when their files change.
//!
//! Each connection first checks the files' inodes. So a renewed certificate serves the next client, and a server
//! without clients does nothing. When the new files cannot be used, the previous certificate stays in use.

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// The largest file that is read, in bytes.
const MOST: u64 = 1 << 20;
/// How long the check of the files may delay a connection: their file system may hang.
const LOOK: Duration = Duration::from_secs(1);

/// The files of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM: the server's certificate, then the intermediate ones up to the authority that clients trust.
    pub certificate: PathBuf,
    /// PEM: its private key, in PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// The certificate that the server presents, and the files it comes from. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Certificates {
    shown: Arc<ArcSwap<ServerConfig>>,
    seen: Arc<Mutex<Seen>>,
}

/// The files as they were last read, whether they could be used or not.
#[derive(Debug)]
struct Seen {
    files: CertificateFiles,
    stamps: [Option<Stamp>; 2],
}

/// Changes when a file is replaced or written: device, inode, size and change time.
type Stamp = (u64, u64, u64, i64, i64);

impl Certificates {
    /// Reads both files.
    ///
    /// # Errors
    /// Which of them cannot be used, and why. The text contains no part of a key.
    pub(super) fn load(files: CertificateFiles) -> Result<Self, String> {
        let stamps = stamps(&files);
        let shown = Arc::new(ArcSwap::from(load(&files)?));
        Ok(Self { shown, seen: Arc::new(Mutex::new(Seen { files, stamps })) })
    }

    /// The latest certificate that can be used. While another connection checks the files, it is the previous one.
    pub(super) async fn latest(&self) -> Arc<ServerConfig> {
        if let Ok(mut seen) = self.seen.clone().try_lock_owned() {
            let shown = self.shown.clone();
            let look = tokio::task::spawn_blocking(move || seen.look(&shown));
            if timeout(LOOK, look).await.is_err() {
                tracing::warn!("cannot check the streaming certificate in time; keeping the previous one");
            }
        }
        self.shown.load_full()
    }
}

impl Seen {
    /// Reloads the files if they have changed.
    fn look(&mut self, shown: &ArcSwap<ServerConfig>) {
        let stamps = stamps(&self.files);
        if stamps == self.stamps {
            return;
        }
        self.stamps = stamps;
        match load(&self.files) {
            Ok(config) => {
                shown.store(config);
                tracing::info!(certificate = %self.files.certificate.display(), "serving a renewed streaming certificate");
            }
            Err(error) => {
                tracing::error!(%error, "cannot renew the streaming certificate; keeping the previous one")
            }
        }
    }
}

fn stamps(files: &CertificateFiles) -> [Option<Stamp>; 2] {
    [&files.certificate, &files.key].map(|path| {
        let seen = fs::metadata(path).ok()?;
        Some((seen.dev(), seen.ino(), seen.size(), seen.ctime(), seen.ctime_nsec()))
    })
}

fn load(files: &CertificateFiles) -> Result<Arc<ServerConfig>, String> {
    let CertificateFiles { certificate, key } = files;
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|e| format!("read {}: {e}", certificate.display()))?;
    if chain.is_empty() {
        return Err(format!("{} has no certificate in PEM format", certificate.display()));
    }
    // The parser's own error may quote the file.
    let private = PrivateKeyDer::from_pem_slice(&read(key)?);
    let private = private.map_err(|_| format!("{} has no private key in a readable PEM format", key.display()))?;
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| format!("set up TLS: {e}"))?;
    let mut config = builder
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|e| format!("use {} with the key {}: {e}", certificate.display(), key.display()))?;
    // Streams need HTTP/1.1. Each connection is one session, so none is ever resumed.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| format!("read {}: {error}", path.display());
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(format!("read {}: it is not a regular file", path.display()));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > MOST {
        return Err(format!("read {}: it is longer than {MOST} bytes", path.display()));
    }
    Ok(bytes)
}
