// SPDX-License-Identifier: Apache-2.0
//! The store itself: its directory, the paths in it, and what it takes.

use crate::image::Image;
use crate::store::error::Error;
use crate::store::index::{Ambiguous, Index};
use crate::store::kept::Kept;
use arc_swap::ArcSwap;
use gorae_digest::Digest;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The store; see the module head.
#[derive(Debug)]
pub struct Store {
    pub(super) root: PathBuf,
    pub(super) handle: File,
    /// What readers see. It is replaced as a whole, never modified.
    pub(super) index: ArcSwap<Index>,
    /// What exists and what needs it. The lock is held for index changes and renames, never for data I/O or syncs.
    pub(super) kept: Mutex<Kept>,
    pub(super) used: Used,
    pub(super) next_temp: AtomicU64,
    /// Held for the store's life.
    pub(super) _lock: File,
}

#[derive(Debug, Default)]
pub(super) struct Used {
    bytes: AtomicU64,
    inodes: AtomicU64,
}

/// A file system's size. File systems that allocate inodes dynamically report 0 of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// All bytes.
    pub bytes: u64,
    /// Bytes that are free for this process.
    pub free_bytes: u64,
    /// All files that it can have; 0 when it does not say.
    pub inodes: u64,
    /// Files that can still be made.
    pub free_inodes: u64,
}

/// Disk use of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// A directory on the file system that holds the layers.
    pub mountpoint: PathBuf,
    /// Bytes of all layers.
    pub used_bytes: u64,
    /// Files, directories and links of all layers.
    pub inodes_used: u64,
}

impl Store {
    /// All images, ordered by id. No I/O, no lock.
    pub fn list(&self) -> Vec<Arc<Image>> {
        self.index.load().list()
    }

    /// Finds an image by name, id or unique id prefix. No I/O, no lock.
    ///
    /// # Errors
    /// [`Ambiguous`] when an id prefix fits several images.
    pub fn find(&self, any: &str) -> Result<Option<Arc<Image>>, Ambiguous> {
        self.index.load().find(any)
    }

    /// The image that a normalised name means. No I/O, no lock.
    pub fn named(&self, name: &str) -> Option<Arc<Image>> {
        self.index.load().named(name).cloned()
    }

    /// Disk use, from running sums. No I/O, no lock.
    pub fn usage(&self) -> Usage {
        let read = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
        Usage {
            mountpoint: self.root.clone(),
            used_bytes: read(&self.used.bytes),
            inodes_used: read(&self.used.inodes),
        }
    }

    /// How large the store's file system is and what of it is free.
    ///
    /// # Errors
    /// [`Error::File`] when the kernel does not say.
    pub fn space(&self) -> Result<Room, Error> {
        let found = rustix::fs::fstatvfs(&self.handle)
            .map_err(|e| Error::file("ask for free space in", &self.root, e.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Room {
            bytes: bytes(found.f_blocks),
            free_bytes: bytes(found.f_bavail),
            inodes: found.f_files,
            free_inodes: found.f_favail,
        })
    }

    /// The directory of a layer's files.
    pub fn layer_fs(&self, diff_id: &Digest) -> PathBuf {
        self.layer_path(diff_id).join("fs")
    }

    /// The directory that stands in for "no layers".
    pub fn empty_layer(&self) -> PathBuf {
        self.root.join("empty")
    }

    pub fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing that runs under the lock can panic half-way through a change.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn index(&self) -> Arc<Index> {
        self.index.load_full()
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn layer_path(&self, diff_id: &Digest) -> PathBuf {
        self.root.join("layers").join(diff_id.file_name())
    }

    pub(super) fn image_path(&self, id: &Digest) -> PathBuf {
        self.root.join("images").join(id.file_name())
    }

    pub(super) fn name_path(&self, name: &str) -> PathBuf {
        self.root.join("names").join(Digest::of(name.as_bytes()).hex())
    }

    /// A path below `temp` that nothing has used in this store's life.
    pub fn temp_path(&self, what: &str) -> PathBuf {
        let n = self.next_temp.fetch_add(1, Ordering::Relaxed);
        self.root.join("temp").join(format!("{what}-{}-{n}", std::process::id()))
    }

    pub fn count(&self, usage: gorae_unpack::Usage) {
        self.used.bytes.fetch_add(usage.bytes, Ordering::Relaxed);
        self.used.inodes.fetch_add(usage.inodes, Ordering::Relaxed);
    }

    pub fn uncount(&self, usage: gorae_unpack::Usage) {
        self.used.bytes.fetch_sub(usage.bytes, Ordering::Relaxed);
        self.used.inodes.fetch_sub(usage.inodes, Ordering::Relaxed);
    }
}
