// SPDX-License-Identifier: Apache-2.0
//! A layer on its way into the store: a directory below `temp` that is removed unless it is committed.

use crate::store::disk::Store;
use crate::store::error::Error;
use crate::store::kept::KeptLayer;
use crate::store::record::{self, Implied, LayerRecord};
use gorae_digest::Digest;
use gorae_unpack::Layer;
use rustix::fs::{Mode, OFlags};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A layer directory below `temp`. Dropping it removes the directory in the background, unless a commit took it.
#[derive(Debug)]
pub struct Staged {
    path: PathBuf,
    diff_id: Digest,
    layer: KeptLayer,
    taken: AtomicBool,
}

impl Store {
    /// Creates an empty directory below `temp` and calls `unpack` to fill it with a layer.
    ///
    /// # Errors
    /// The error of `unpack`, or the store's own as `E`. Nothing is left behind then.
    pub fn stage<E: From<Error>>(
        &self,
        diff_id: &Digest,
        unpack: impl FnOnce(OwnedFd) -> Result<Layer, E>,
    ) -> Result<Arc<Staged>, E> {
        self.stage_with(diff_id, |path, directory| {
            let layer = unpack(directory)?;
            let implied = Implied { root: !layer.describes_root, directories: layer.implied.len() as u64 };
            if !layer.implied.is_empty() {
                let names = path.join("implied");
                record::write_names(&names, &layer.implied).map_err(|e| Error::file("write", &names, e))?;
            }
            Ok(KeptLayer { usage: layer.usage, implied: Some(implied) })
        })
    }

    /// Like [`Store::stage`], for anything that becomes a layer; `fill` also gets the directory that will hold the record.
    pub(super) fn stage_with<E: From<Error>>(
        &self,
        diff_id: &Digest,
        fill: impl FnOnce(&Path, OwnedFd) -> Result<KeptLayer, E>,
    ) -> Result<Arc<Staged>, E> {
        let path = self.temp_path("layer");
        let made = self.stage_at(&path, diff_id, fill);
        if made.is_err() {
            discard(&path);
        }
        made
    }

    fn stage_at<E: From<Error>>(
        &self,
        path: &Path,
        diff_id: &Digest,
        fill: impl FnOnce(&Path, OwnedFd) -> Result<KeptLayer, E>,
    ) -> Result<Arc<Staged>, E> {
        let fs_path = path.join("fs");
        fs::create_dir(path).and_then(|()| fs::create_dir(&fs_path)).map_err(|e| Error::file("create", &fs_path, e))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory =
            rustix::fs::open(&fs_path, flags, Mode::empty()).map_err(|e| Error::file("open", &fs_path, e.into()))?;
        let layer = fill(path, directory)?;
        let record_path = path.join("record");
        let record = LayerRecord { diff_id: diff_id.to_string(), usage: layer.usage, implied: layer.implied };
        record::write(&record_path, &record).map_err(|e| Error::file("write", &record_path, e))?;
        Ok(Arc::new(Staged { path: path.to_owned(), diff_id: diff_id.clone(), layer, taken: AtomicBool::new(false) }))
    }
}

impl Staged {
    /// The layer's diff id, verified.
    pub fn diff_id(&self) -> &Digest {
        &self.diff_id
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The entry for the store.
    pub(super) fn layer(&self) -> KeptLayer {
        self.layer
    }

    pub(super) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Acquire)
    }

    pub(super) fn take(&self) {
        self.taken.store(true, Ordering::Release);
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !*self.taken.get_mut() {
            discard_in_background(std::mem::take(&mut self.path));
        }
    }
}

/// Removes a directory tree of ours. Anything that cannot be removed now is removed at the next start.
pub fn discard(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove temporary data");
    }
}

/// Like [`discard`], but on a separate thread: a large layer takes a while.
pub fn discard_in_background(path: PathBuf) {
    let spawned = std::thread::Builder::new().name("layer-remove".to_owned()).spawn({
        let path = path.clone();
        move || discard(&path)
    });
    if spawned.is_err() {
        discard(&path);
    }
}
