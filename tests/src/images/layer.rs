// SPDX-License-Identifier: Apache-2.0
//! Reproducible image layers: a tar written in memory with fixed times, and its gzip form.

use anyhow::{Context, Result};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use tar::{EntryType, Header};

/// A finished layer.
#[derive(Debug, Clone)]
pub struct Layer {
    /// `sha256:…` of the tar.
    pub diff_id: String,
    /// `sha256:…` of the blob that is pushed.
    pub digest: String,
    /// The blob.
    pub blob: Vec<u8>,
    /// How the blob is packed.
    pub packing: Packing,
}

/// How a layer's tar is packed in its blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As it is.
    Plain,
    /// One gzip member.
    Gzip,
    /// One zstd frame.
    Zstd,
}

/// A layer being written. Missing parent directories are added with mode 0755.
#[expect(missing_debug_implementations, reason = "tar::Builder has none")]
pub struct Writer {
    tar: tar::Builder<Vec<u8>>,
    seen: BTreeSet<String>,
}

impl Default for Writer {
    fn default() -> Self {
        Writer { tar: tar::Builder::new(Vec::new()), seen: BTreeSet::new() }
    }
}

/// `sha256:` and the hexadecimal digest of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

impl Writer {
    /// Adds a directory; one that is there already is left as it is.
    pub fn dir(&mut self, path: &str, mode: u32, owner: u64) -> &mut Self {
        let path = path.trim_matches('/');
        if !path.is_empty() && self.seen.insert(path.to_owned()) {
            self.parents(path);
            let mut header = header(EntryType::Directory, mode, owner);
            self.append(&mut header, &format!("{path}/"), &[]);
        }
        self
    }

    /// Describes the root directory itself.
    pub fn root(&mut self, mode: u32, owner: u64) -> &mut Self {
        let mut header = header(EntryType::Directory, mode, owner);
        header.as_gnu_mut().expect("the header was made in GNU form").name[..2].copy_from_slice(b"./");
        header.set_cksum();
        self.tar.append(&header, [].as_slice()).expect("writing to memory succeeds");
        self
    }

    /// Adds a regular file owned by root.
    pub fn file(&mut self, path: &str, mode: u32, data: &[u8]) -> &mut Self {
        let path = self.parents(path);
        self.append(&mut header(EntryType::Regular, mode, 0), &path, data);
        self
    }

    /// Adds a file of the host under another name, links followed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn host_file(&mut self, from: &Path, path: &str, mode: u32) -> Result<&mut Self> {
        let data = std::fs::read(from).with_context(|| format!("read {}", from.display()))?;
        Ok(self.file(path, mode, &data))
    }

    /// Adds a hard link to a file that was added before.
    pub fn hard_link(&mut self, path: &str, target: &str) -> &mut Self {
        self.link(EntryType::Link, path, target.trim_start_matches('/'))
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) -> &mut Self {
        self.link(EntryType::Symlink, path, target)
    }

    /// Adds an entry exactly as given, names unchecked: for hostile layers. A device is `/dev/null`'s.
    pub fn raw(&mut self, kind: EntryType, name: &str, link: &str, data: &[u8]) -> &mut Self {
        self.entry(kind, name, link, (1, 3), data)
    }

    /// Adds a node without data: a link, a pipe, a directory, or the device of these numbers.
    pub fn node(&mut self, kind: EntryType, name: &str, link: &str, device: (u32, u32)) -> &mut Self {
        self.entry(kind, name, link, device, b"")
    }

    /// Adds a file that is one hole.
    pub fn sparse(&mut self, name: &str, length: u64) -> &mut Self {
        let mut header = header(EntryType::GNUSparse, 0o644, 0);
        let gnu = header.as_gnu_mut().expect("the header was made in GNU form");
        gnu.name[..name.len()].copy_from_slice(name.as_bytes());
        gnu.set_real_size(length);
        header.set_cksum();
        self.tar.append(&header, [].as_slice()).expect("writing to memory succeeds");
        self
    }

    fn entry(&mut self, kind: EntryType, name: &str, link: &str, device: (u32, u32), data: &[u8]) -> &mut Self {
        let mut header = header(kind, 0o755, 0);
        let gnu = header.as_gnu_mut().expect("the header was made in GNU form");
        gnu.name[..name.len()].copy_from_slice(name.as_bytes());
        gnu.linkname[..link.len()].copy_from_slice(link.as_bytes());
        if matches!(kind, EntryType::Block | EntryType::Char) {
            header.set_device_major(device.0).expect("a device number fits");
            header.set_device_minor(device.1).expect("a device number fits");
        }
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.tar.append(&header, data).expect("writing to memory succeeds");
        self
    }

    /// Ends the layer.
    #[must_use]
    pub fn finish(&mut self, packing: Packing) -> Layer {
        let tar = std::mem::replace(&mut self.tar, tar::Builder::new(Vec::new()));
        let plain = tar.into_inner().expect("writing to memory succeeds");
        let diff_id = sha256(&plain);
        let blob = match packing {
            Packing::Plain => plain,
            Packing::Gzip => gzip(&plain),
            Packing::Zstd => zstd::encode_all(plain.as_slice(), 3).expect("compressing memory succeeds"),
        };
        Layer { diff_id, digest: sha256(&blob), blob, packing }
    }

    fn link(&mut self, kind: EntryType, path: &str, target: &str) -> &mut Self {
        let path = self.parents(path);
        let mut header = header(kind, 0o777, 0);
        self.tar.append_link(&mut header, path, target).expect("writing to memory succeeds");
        self
    }

    /// Adds the directories above a path and returns the path without leading slash.
    fn parents(&mut self, path: &str) -> String {
        let path = path.trim_matches('/');
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.dir(parent, 0o755, 0);
        }
        path.to_owned()
    }

    fn append(&mut self, header: &mut Header, path: &str, data: &[u8]) {
        header.set_size(data.len() as u64);
        self.tar.append_data(header, path, data).expect("writing to memory succeeds");
    }
}

fn header(kind: EntryType, mode: u32, owner: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(0);
    header.set_size(0);
    header
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(6));
    gzip.write_all(plain).and_then(|()| gzip.finish()).expect("compressing memory succeeds")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(layer: &Layer) -> Vec<String> {
        let mut archive = tar::Archive::new(layer.blob.as_slice());
        archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect()
    }

    #[test]
    fn parents_come_before_their_children_and_only_once() {
        let layer = Writer::default().file("/a/b/c", 0o644, b"x").file("/a/b/d", 0o644, b"y").finish(Packing::Plain);
        assert_eq!(names(&layer), ["a/", "a/b/", "a/b/c", "a/b/d"]);
    }

    #[test]
    fn two_writings_of_one_layer_have_one_digest() {
        let write = || Writer::default().file("/a", 0o644, b"x").hard_link("/b", "/a").finish(Packing::Gzip);
        assert_eq!(write().digest, write().digest);
        assert_ne!(write().digest, write().diff_id);
    }
}
