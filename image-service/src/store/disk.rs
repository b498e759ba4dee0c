// SPDX-License-Identifier: Apache-2.0
//! The store itself: its directory, its paths, and its disk usage.

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

/// The store; see the module documentation.
#[derive(Debug)]
pub struct Store {
    pub(super) root: PathBuf,
    pub(super) handle: File,
    /// The state that readers see. It is replaced as a whole, never modified.
    pub(super) index: ArcSwap<Index>,
    /// The layers that exist and their users. The lock is held for index changes and renames, never for data I/O or syncs.
    pub(super) kept: Mutex<Kept>,
    pub(super) used: Used,
    pub(super) next_temp: AtomicU64,
    /// Held as long as the store exists.
    pub(super) _lock: File,
}

#[derive(Debug, Default)]
pub(super) struct Used {
    bytes: AtomicU64,
    inodes: AtomicU64,
}

/// The size of a file system. File systems that allocate inodes dynamically report 0 inodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Total size in bytes.
    pub bytes: u64,
    /// Bytes that are free for this process.
    pub free_bytes: u64,
    /// Total number of inodes; 0 if not reported.
    pub inodes: u64,
    /// Inodes that are free.
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
    /// [`Ambiguous`] if an id prefix matches several images.
    pub fn find(&self, any: &str) -> Result<Option<Arc<Image>>, Ambiguous> {
        self.index.load().find(any)
    }

    /// The image that a normalised name refers to. No I/O, no lock.
    pub fn named(&self, name: &str) -> Option<Arc<Image>> {
        self.index.load().named(name).cloned()
    }

    /// Disk use, from running totals. No I/O, no lock.
    pub fn usage(&self) -> Usage {
        let read = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
        Usage {
            mountpoint: self.root.clone(),
            used_bytes: read(&self.used.bytes),
            inodes_used: read(&self.used.inodes),
        }
    }

    /// The size of the store's file system and its free space.
    ///
    /// # Errors
    /// [`Error::File`] if the kernel does not report it.
    pub fn space(&self) -> Result<Room, Error> {
        let found = rustix::fs::fstatvfs(&self.handle)
            .map_err(|e| Error::file("read the free space of", &self.root, e.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Room {
            bytes: bytes(found.f_blocks),
            free_bytes: bytes(found.f_bavail),
            inodes: found.f_files,
            free_inodes: found.f_favail,
        })
    }

    /// The directory with the files of a layer.
    pub fn layer_fs(&self, diff_id: &Digest) -> PathBuf {
        self.layer_path(diff_id).join("fs")
    }

    /// The directory that replaces the layers of an image without layers.
    pub fn empty_layer(&self) -> PathBuf {
        self.root.join("empty")
    }

    pub fn kept(&self) -> MutexGuard<'_, Kept> {
        // No code under the lock can panic halfway through a change.
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

    /// A path below `temp` that this store has not used before.
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
