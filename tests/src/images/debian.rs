// SPDX-License-Identifier: Apache-2.0
//! Programs out of Debian packages, with exactly the libraries they need, whatever the host has installed.
//!
//! `make setup` downloads the packages in [`PACKAGES`] (it needs the network); this module only reads them.

use super::layer::Writer;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages that the images are made of.
pub const PACKAGES: [&str; 8] =
    ["busybox", "nginx", "nginx-common", "libc6", "libcrypt1", "libpcre2-8-0", "libssl3", "zlib1g"];

/// The unpacked packages.
#[derive(Debug)]
pub struct Debian {
    root: tempfile::TempDir,
}

impl Debian {
    /// Unpacks the downloaded packages of a directory.
    ///
    /// # Errors
    /// When one of them is missing, with the command that fetches it.
    pub fn unpack(packages: &Path) -> Result<Debian> {
        let root = tempfile::tempdir()?;
        for package in PACKAGES {
            let file = find(packages, package)
                .with_context(|| format!("no {package}_*.deb in {}: run `make setup`", packages.display()))?;
            let done = Command::new("dpkg").arg("-x").args([&file, root.path()]).output().context("run dpkg")?;
            let words = String::from_utf8_lossy(&done.stderr);
            ensure!(done.status.success(), "unpack {}: {words}", file.display());
        }
        Ok(Debian { root })
    }

    /// Path on the host of a file that a package has at `path`.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// Adds a program and every library it needs, directly or not, and its loader.
    ///
    /// # Errors
    /// When the program or a library is not in the packages.
    pub fn add_program(&self, layer: &mut Writer, path: &str) -> Result<()> {
        layer.host_file(&self.path(path), path, 0o755)?;
        let mut done = BTreeSet::new();
        let mut todo = needed(&self.path(path))?;
        while let Some(name) = todo.pop() {
            if !done.insert(name.clone()) {
                continue;
            }
            let library = self.library(&name)?;
            layer.host_file(&library, &format!("/lib/{}/{name}", triplet()), 0o755)?;
            todo.extend(needed(&library)?);
        }
        let loader = loader();
        let name = loader.rsplit('/').next().expect("a path has a last part");
        layer.host_file(&self.library(name)?, loader, 0o755)?;
        Ok(())
    }

    fn library(&self, name: &str) -> Result<PathBuf> {
        let dirs = [format!("lib/{}", triplet()), format!("usr/lib/{}", triplet())];
        let mut places = dirs.iter().map(|dir| self.root.path().join(dir).join(name));
        places.find(|p| p.exists()).with_context(|| format!("no package of ours has the library {name}"))
    }
}

/// The newest downloaded file of a package.
fn find(dir: &Path, package: &str) -> Option<PathBuf> {
    let prefix = format!("{package}_");
    let entries = std::fs::read_dir(dir).ok()?.flatten().map(|e| e.path());
    let ours = |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&prefix));
    entries.filter(ours).filter(|p| p.extension().is_some_and(|e| e == "deb")).max()
}

/// Names of the libraries that an ELF file asks for, as binutils reads them.
fn needed(file: &Path) -> Result<Vec<String>> {
    let out = Command::new("objdump").arg("-p").arg(file).output().context("run objdump (package binutils)")?;
    ensure!(out.status.success(), "objdump {}: {}", file.display(), String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8_lossy(&out.stdout);
    Ok(text.lines().filter_map(|l| l.trim().strip_prefix("NEEDED")).map(|n| n.trim().to_owned()).collect())
}

fn triplet() -> &'static str {
    if cfg!(target_arch = "aarch64") { "aarch64-linux-gnu" } else { "x86_64-linux-gnu" }
}

fn loader() -> &'static str {
    if cfg!(target_arch = "aarch64") { "/lib/ld-linux-aarch64.so.1" } else { "/lib64/ld-linux-x86-64.so.2" }
}
