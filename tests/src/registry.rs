// SPDX-License-Identifier: Apache-2.0
//! Debian's docker-registry on a free loopback port: the real thing, filled by the image maker.
//!
//! The images of the suites are made once into `build/registry` and served from there by every test; a test that
//! pushes or spoils something takes an empty registry of its own.

use crate::images::{conformance, debian, own, push};
use crate::place;
use anyhow::{Context, Result, bail};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running registry; dropping it ends it.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    address: SocketAddr,
    storage: PathBuf,
    _own: tempfile::TempDir,
}

/// What the images are made of: when it changes, they are made again.
const SOURCES: [&str; 7] = [
    include_str!("images/conformance.rs"),
    include_str!("images/own.rs"),
    include_str!("images/layer.rs"),
    include_str!("images/push.rs"),
    include_str!("images/programs/tiny.c"),
    include_str!("images/programs/pause.c"),
    include_str!("images/programs/nnp.c"),
];

impl Registry {
    /// A registry with the images of all suites, made now when there are none.
    ///
    /// # Errors
    /// When they cannot be made, or the registry does not start.
    pub fn with_test_images() -> Result<Registry> {
        Registry::with_test_images_at(Ipv4Addr::LOCALHOST)
    }

    /// The same at an address of this network namespace, for nodes in other ones.
    ///
    /// # Errors
    /// When they cannot be made, or the registry does not start.
    pub fn with_test_images_at(address: Ipv4Addr) -> Result<Registry> {
        Registry::serve(address, Some(&filled_storage()?), None)
    }

    /// An empty registry.
    ///
    /// # Errors
    /// When it does not start.
    pub fn empty() -> Result<Registry> {
        Registry::empty_at(Ipv4Addr::LOCALHOST)
    }

    /// An empty registry at an address of this network namespace.
    ///
    /// # Errors
    /// When it does not start.
    pub fn empty_at(address: Ipv4Addr) -> Result<Registry> {
        Registry::serve(address, None, None)
    }

    /// A second registry that serves what this one has over TLS, with the certificate and key of these files.
    ///
    /// # Errors
    /// When it does not start.
    pub fn over_tls(&self, certificate: &Path, key: &Path) -> Result<Registry> {
        Registry::serve(Ipv4Addr::LOCALHOST, Some(&self.storage), Some((certificate, key)))
    }

    /// A registry with nothing but the project's own small images: needs no network and no Debian package.
    ///
    /// # Errors
    /// When they cannot be made, or the registry does not start.
    pub fn with_own_images() -> Result<Registry> {
        let registry = Registry::empty()?;
        for image in own::images()? {
            registry.client().push(&image)?;
        }
        Ok(registry)
    }

    fn serve(at: Ipv4Addr, storage: Option<&Path>, tls: Option<(&Path, &Path)>) -> Result<Registry> {
        let own = tempfile::tempdir()?;
        let storage = storage.map_or_else(|| own.path().join("storage"), Path::to_owned);
        let port = TcpListener::bind((at, 0))?.local_addr()?.port();
        let address = SocketAddr::from((at, port));
        let config = own.path().join("registry.yml");
        let mut text = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    \
             rootdirectory: {}\n  maintenance:\n    uploadpurging:\n      enabled: false\nhttp:\n  addr: {address}\n",
            storage.display()
        );
        if let Some((certificate, key)) = tls {
            text += &format!("  tls:\n    certificate: {}\n    key: {}\n", certificate.display(), key.display());
        }
        std::fs::write(&config, text)?;
        let child = Command::new(place::docker_registry())
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("run docker-registry: run `make setup`")?;
        let mut registry = Registry { child, address, storage, _own: own };
        registry.wait()?;
        Ok(registry)
    }

    fn wait(&mut self) -> Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("docker-registry ended with {status}");
            }
            anyhow::ensure!(begun.elapsed() < Duration::from_secs(20), "docker-registry does not listen after 20 s");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client that pushes to it.
    #[must_use]
    pub fn client(&self) -> push::Registry {
        push::Registry(self.address)
    }

    /// The file in which the registry keeps a blob: tests spoil it.
    #[must_use]
    pub fn blob_file(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        self.storage.join("docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The storage directory with all test images.
fn filled_storage() -> Result<PathBuf> {
    std::fs::create_dir_all(place::build())?;
    let lock = std::fs::File::create(place::build().join("registry.lock"))?;
    lock.lock()?;
    let storage = place::build().join("registry");
    let stamp = stamp()?;
    if std::fs::read_to_string(storage.join("made-of")).is_ok_and(|old| old == stamp) {
        return Ok(storage);
    }
    let fresh = place::build().join("registry.new");
    for old in [&storage, &fresh] {
        if old.exists() {
            std::fs::remove_dir_all(old)?;
        }
    }
    let registry = Registry::serve(Ipv4Addr::LOCALHOST, Some(&fresh), None)?;
    let packages = debian::Debian::unpack(&place::packages())?;
    for image in own::images()?.iter().chain(&conformance::images(&packages)?) {
        registry.client().push(image)?;
    }
    std::fs::write(fresh.join("made-of"), stamp)?;
    std::fs::rename(fresh, &storage)?;
    Ok(storage)
}

/// Digest of the image maker's sources and of the names of the packages it uses.
fn stamp() -> Result<String> {
    let mut text = SOURCES.concat();
    let mut packages: Vec<_> = match std::fs::read_dir(place::packages()) {
        Ok(entries) => entries.map(|e| e.map(|e| e.file_name())).collect::<Result<_, _>>()?,
        Err(_) => Vec::new(),
    };
    packages.sort();
    for name in packages {
        text += &name.to_string_lossy();
    }
    Ok(crate::images::layer::sha256(text.as_bytes()))
}
