// SPDX-License-Identifier: Apache-2.0
//! The images and layers on disk, and their index in memory.
//!
//! ```text
//! ROOT/lock                       one process at a time
//! ROOT/layers/sha256-HEX/fs       a layer's files, an overlay lower directory; named by diff id
//! ROOT/layers/sha256-HEX/record   its size; written before the directory gets its name
//! ROOT/layers/sha256-HEX/implied  its directories that no member describes, when there are any
//! ROOT/images/sha256-HEX          record: config as it came, diff ids; named by config digest
//! ROOT/names/HEX                  record: one name and the image it means; named by the name's hash
//!                                 A tree of directories on top of an image is a layer, too; see `top`
//! ROOT/empty                      stands in for the layers of an image that has none
//! ROOT/temp/…                     whatever is not finished; emptied at start
//! ```
//!
//! Invariants: a name in `layers`, `images` or `names` appears by a rename only, after its data was synced; an image's
//! layers get theirs before the image, its names after it. Removal goes the other way round: the image record first.
//! So at any crash point each image is whole or absent, and what is left over is unreferenced. A damaged record costs
//! the object it describes and nothing else. Disk I/O here blocks; callers come from threads that may.

mod commit;
mod index;
mod load;
mod merged;
mod plan;
mod record;
mod staged;
mod top;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use arc_swap::ArcSwap;

use crate::image::Image;
use gorae_digest::Digest;

pub use commit::NewImage;
pub use index::Ambiguous;
pub use staged::Staged;

use gorae_unpack::Usage as LayerUsage;
use index::Index;
pub(crate) use staged::{discard, discard_in_background};
pub(crate) use top::top_first;

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("cannot {what} {path}")]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Another process uses the directory.
    #[error("image store {0} is in use by another process")]
    InUse(PathBuf),
    /// A record is another program's.
    #[error(transparent)]
    Foreign(gorae_proto::checked::Foreign),
    /// A layer that is needed is not there (any more).
    #[error("layer {0} is not on this node")]
    LayerMissing(String),
    /// What a layer's record tells beside itself is damaged.
    #[error("the names of directories that layer {layer} implies cannot be read: {why}; pull the image again")]
    Implied { layer: String, why: String },
    /// The layers of one image imply more than is looked at.
    #[error("the image's layers leave out more than {limit} bytes of names of directories")]
    TooManyImplied { limit: u64 },
    /// The tree of directories on top of an image cannot be made.
    #[error("cannot make the directories on top of the image's layers")]
    Top(#[source] Box<gorae_unpack::Error>),
    /// A path given as a layer is none of this store.
    #[error("{0} is not a layer directory of this store")]
    NotALayer(PathBuf),
}

impl Error {
    /// Whether the file system ran out of blocks, inodes or quota.
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::File { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Top(source) => source.is_no_space(),
            _ => false,
        }
    }
}

/// The store; see the module head.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    handle: File,
    /// What readers see: replaced as a whole, never changed.
    index: ArcSwap<Index>,
    /// What exists and who needs it; the lock is held for index changes and renames, never for data I/O or syncs.
    kept: Mutex<Kept>,
    used: Used,
    next_temp: AtomicU64,
    /// Held for the store's life.
    _lock: File,
}

/// Layers on disk and the reasons to keep them, besides images.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub layers: HashMap<Digest, KeptLayer>,
    /// By owner: containers that have the layers mounted.
    pub holds: HashMap<String, HashSet<Digest>>,
    /// By layer: pulls that count on finding it.
    pub pins: HashMap<Digest, usize>,
    /// Whether there is an image whose record cannot be read for now: nobody knows which layers it needs.
    pub has_unread_images: bool,
}

/// A layer on disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeptLayer {
    pub usage: LayerUsage,
    /// `None` for a tree, and for a layer that has to be unpacked again before another image can be made with it.
    pub implied: Option<record::Implied>,
}

#[derive(Debug, Default)]
struct Used {
    bytes: AtomicU64,
    inodes: AtomicU64,
}

/// What became of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRemoval {
    /// No image has it.
    NoSuchName,
    /// Its image has it no more.
    Removed,
    /// Its image has no other, and keeps it.
    LastName,
}

/// A tag, and when it is the last of its repository the digest names there: they came with it.
fn names_that_go_with(image: &Image, name: &str) -> Vec<String> {
    let mut going = vec![name.to_owned()];
    let Some(repository) = repository(name).filter(|_| !name.contains('@')) else { return going };
    let here = |other: &&String| other.as_str() != name && self::repository(other) == Some(repository);
    if !image.repo_tags.iter().any(|tag| here(&tag)) {
        going.extend(image.repo_digests.iter().filter(here).cloned());
    }
    going
}

/// What stands before the tag or digest of a normalised name.
fn repository(name: &str) -> Option<&str> {
    let name = name.split('@').next()?;
    let tag = name.rfind(':').filter(|at| !name[*at..].contains('/'));
    Some(&name[..tag.unwrap_or(name.len())])
}

/// A file system's size. One that makes files as it goes has none in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub bytes: u64,
    pub free_bytes: u64,
    pub inodes: u64,
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
    /// - Errors: [`Ambiguous`] when an id prefix fits several images.
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
    /// - Errors: [`Error::File`] when the kernel does not say.
    pub fn space(&self) -> Result<Room, Error> {
        let found = rustix::fs::fstatvfs(&self.handle)
            .map_err(|e| self.failed("ask for free space in", &self.root, e.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Room {
            bytes: bytes(found.f_blocks),
            free_bytes: bytes(found.f_bavail),
            inodes: found.f_files,
            free_inodes: found.f_favail,
        })
    }

    /// Removes an image with all its names; layers go when nothing else needs them.
    ///
    /// - Shapes: removing what is not there is fine; when this returns, no reader sees the image any more.
    /// - Errors: [`Error::File`] when the image's record cannot be removed.
    pub fn remove(&self, id: &str) -> Result<(), Error> {
        let Ok(digest) = Digest::parse(id) else { return Ok(()) };
        let mut kept = self.kept();
        let index = self.index.load_full();
        let Some(image) = index.image(&digest) else { return Ok(()) };
        let record = self.image_path(&digest);
        match std::fs::remove_file(&record) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(self.failed("remove", &record, e)),
            _ => {}
        }
        for name in image.repo_tags.iter().chain(&image.repo_digests) {
            // A name without its image means nothing and is removed at the next start.
            let _ = std::fs::remove_file(self.name_path(name));
        }
        self.index.store(Arc::new(index.without(&digest)));
        let candidates = image.needs().cloned().collect();
        self.sweep(&mut kept, candidates);
        Ok(())
    }

    /// Takes a normalised name off its image, unless the image has no other.
    ///
    /// - Errors: [`Error::File`] when the name's record cannot be removed; names before it are then off.
    pub fn remove_name(&self, name: &str) -> Result<NameRemoval, Error> {
        let _kept = self.kept();
        let index = self.index.load_full();
        let Some(image) = index.named(name) else { return Ok(NameRemoval::NoSuchName) };
        let going = names_that_go_with(image, name);
        if going.len() == image.repo_tags.len() + image.repo_digests.len() {
            return Ok(NameRemoval::LastName);
        }
        let Ok(id) = Digest::parse(&image.id) else { return Ok(NameRemoval::NoSuchName) };
        for (at, name) in going.iter().enumerate() {
            let record = self.name_path(name);
            match std::fs::remove_file(&record) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    self.index.store(Arc::new(index.without_names(&id, &going[..at])));
                    return Err(self.failed("remove", &record, e));
                }
                _ => {}
            }
        }
        self.index.store(Arc::new(index.without_names(&id, &going)));
        Ok(NameRemoval::Removed)
    }

    /// The directory of a layer's files.
    pub fn layer_fs(&self, diff_id: &Digest) -> PathBuf {
        self.layer_path(diff_id).join("fs")
    }

    /// The directory that stands in for "no layers".
    pub fn empty_layer(&self) -> PathBuf {
        self.root.join("empty")
    }

    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing that runs under the lock can panic half-way through a change.
        self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn index(&self) -> Arc<Index> {
        self.index.load_full()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn layer_path(&self, diff_id: &Digest) -> PathBuf {
        self.root.join("layers").join(diff_id.file_name())
    }

    fn image_path(&self, id: &Digest) -> PathBuf {
        self.root.join("images").join(id.file_name())
    }

    fn name_path(&self, name: &str) -> PathBuf {
        self.root.join("names").join(Digest::of(name.as_bytes()).hex())
    }

    /// A path below `temp` that nothing has used in this store's life.
    pub(crate) fn temp_path(&self, what: &str) -> PathBuf {
        let n = self.next_temp.fetch_add(1, Ordering::Relaxed);
        self.root.join("temp").join(format!("{what}-{}-{n}", std::process::id()))
    }

    pub(crate) fn count(&self, usage: LayerUsage) {
        self.used.bytes.fetch_add(usage.bytes, Ordering::Relaxed);
        self.used.inodes.fetch_add(usage.inodes, Ordering::Relaxed);
    }

    pub(crate) fn uncount(&self, usage: LayerUsage) {
        self.used.bytes.fetch_sub(usage.bytes, Ordering::Relaxed);
        self.used.inodes.fetch_sub(usage.inodes, Ordering::Relaxed);
    }

    fn failed(&self, what: &'static str, path: &Path, source: io::Error) -> Error {
        Error::File { what, path: path.to_owned(), source }
    }
}
