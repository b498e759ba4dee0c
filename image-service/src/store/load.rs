// SPDX-License-Identifier: Apache-2.0
//! Loads the store's records into the index. Unusable objects are dropped in a way that a pull can repair.

use crate::image::{Image, Top};
use crate::store::disk::Store;
use crate::store::error::Error;
use crate::store::index::Index;
use crate::store::kept::{Kept, KeptLayer};
use crate::store::lost::{lose, lose_image};
use crate::store::record::{self, ImageRecord, LayerRecord, NameRecord, Unreadable};
use crate::store::{commit, top};
use gorae_digest::Digest;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Store {
    /// Loads every layer whose record can be read.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Foreign`].
    pub(super) fn load_layers(&self) -> Result<(), Error> {
        let mut kept = self.kept();
        for name in self.names_in("layers")? {
            let path = self.root.join("layers").join(&name);
            match read_layer(&path, &name) {
                Ok((diff_id, record)) => {
                    self.count(record.usage);
                    kept.layers.insert(diff_id, KeptLayer { usage: record.usage, implied: record.implied });
                }
                // Without it, intact images would be considered lost.
                Err(Unreadable::File(source))
                    if !matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
                {
                    return Err(Error::file("read", &path, source));
                }
                Err(error) => lose("layer", &path, error)?,
            }
        }
        Ok(())
    }

    /// Loads every image whose record is usable and whose layers are present.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Foreign`].
    pub(super) fn load_images(&self, names: &[(PathBuf, NameRecord)]) -> Result<Index, Error> {
        let mut kept = self.kept();
        let mut index = Index::default();
        for name in self.names_in("images")? {
            let path = self.root.join("images").join(&name);
            let read = read_image(&path, &name, &kept).and_then(|found| {
                self.restore_top(&mut kept, &found.1.layers, &found.1.top).map_err(Unreadable::Top)?;
                Ok(found)
            });
            match read {
                Ok((id, image)) => index = index.with(&id, image, &[]),
                // It may be readable again when the disk has recovered. Until then its names and layers are kept.
                Err(error @ Unreadable::File(_)) => {
                    lose("image", &path, error)?;
                    kept.has_unread_images = true;
                }
                Err(error) => lose_image(&path, &name, names, error)?,
            }
        }
        Ok(index)
    }

    /// Reads every readable name, with the path of its file.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Foreign`].
    pub(super) fn read_names(&self) -> Result<Vec<(PathBuf, NameRecord)>, Error> {
        let mut names = Vec::new();
        for name in self.names_in("names")? {
            let path = self.root.join("names").join(&name);
            let found = record::read::<NameRecord>(&path).and_then(|record| {
                let own = Digest::of(record.name.as_bytes()).hex() == name.to_string_lossy();
                if own { Ok(record) } else { Err(Unreadable::Misplaced("its file belongs to a different name")) }
            });
            match found {
                Ok(record) => names.push((path, record)),
                Err(error) => lose("image name", &path, error)?,
            }
        }
        Ok(names)
    }

    /// Adds the names to the images, and removes names without an image. They are leftovers of a lost image, or of a crash
    /// between the removal of an image and that of its names.
    pub(super) fn give_names(&self, mut index: Index, names: Vec<(PathBuf, NameRecord)>) -> Index {
        for (path, record) in names {
            let id = Digest::parse(&record.image).ok();
            let image = id.and_then(|id| Some((index.image(&id)?.as_ref().clone(), id)));
            match image {
                Some((image, id)) => index = index.with(&id, image, &[record.name]),
                None if self.has_image_record(&record) => {}
                None => drop(fs::remove_file(&path)),
            }
        }
        index
    }

    fn has_image_record(&self, name: &NameRecord) -> bool {
        Digest::parse(&name.image).is_ok_and(|id| fs::symlink_metadata(self.image_path(&id)).is_ok())
    }

    /// The entries of a directory in the store.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(super) fn names_in(&self, directory: &str) -> Result<Vec<OsString>, Error> {
        let path = self.root.join(directory);
        let entries = fs::read_dir(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        Ok(entries.map_err(|e| Error::file("read", &path, e))?.into_iter().map(|entry| entry.file_name()).collect())
    }
}

fn read_layer(path: &Path, name: &OsStr) -> Result<(Digest, LayerRecord), Unreadable> {
    let diff_id =
        name.to_str().and_then(Digest::from_file_name).ok_or(Unreadable::Misplaced("its name is not a digest"))?;
    let record: LayerRecord = record::read(&path.join("record"))?;
    if record.diff_id != diff_id.to_string() {
        return Err(Unreadable::Misplaced("it describes a different layer"));
    }
    if !fs::symlink_metadata(path.join("fs"))?.is_dir() {
        return Err(Unreadable::Misplaced("the layer has no files"));
    }
    Ok((diff_id, record))
}

fn read_image(path: &Path, name: &OsStr, kept: &Kept) -> Result<(Digest, Image), Unreadable> {
    let id = name.to_str().and_then(Digest::from_file_name).ok_or(Unreadable::Misplaced("its name is not a digest"))?;
    let record: ImageRecord = record::read(path)?;
    if Digest::of(record.config.as_bytes()) != id {
        return Err(Unreadable::Misplaced("its config belongs to a different image"));
    }
    let config = gorae_image_formats::image_config::read_config(&record.config).map_err(Unreadable::Config)?;
    let layers = record.layers.iter().map(|layer| Digest::parse(layer)).collect::<Result<Vec<_>, _>>();
    let layers = layers.map_err(|_| Unreadable::Misplaced("a layer's diff id is not a digest"))?;
    if !layers.iter().all(|layer| kept.layers.contains_key(layer)) {
        return Err(Unreadable::Misplaced("one of its layers is missing or damaged"));
    }
    let top = match record.top {
        record::Top::Unknown => Top::Unknown,
        record::Top::Nothing => Top::Nothing,
        record::Top::Tree => Top::Tree(top::name(&layers)),
    };
    let image = commit::assemble(&id, record.config.len(), Arc::new(config), (layers, top), kept);
    Ok((id, image))
}
