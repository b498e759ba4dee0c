// SPDX-License-Identifier: Apache-2.0
//! Makes a pulled image visible: records, one sync, then renames only.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use oci_spec::image::ImageConfiguration;

use super::record::{self, ImageRecord, NameRecord};
use super::{Error, Kept, Staged, Store};
use crate::digest::Digest;
use crate::image::Image;

/// A pulled image whose layers are staged or in the store.
#[derive(Debug)]
pub struct NewImage {
    /// Digest of `raw_config`.
    pub id: Digest,
    /// The config's bytes.
    pub raw_config: String,
    /// The config read.
    pub config: Arc<ImageConfiguration>,
    /// Diff ids, bottom first.
    pub layers: Vec<Digest>,
    /// Normalised names that mean this image from now on.
    pub names: Vec<String>,
}

impl Store {
    /// Commits an image. After `Ok` it survives a power cut, and every reader sees it.
    ///
    /// - Shapes: the layers that are not staged must be pinned by the caller.
    /// - Errors: [`Error::File`], [`Error::LayerMissing`]; readers then see the state before.
    pub fn commit(&self, new: NewImage, staged: &[Arc<Staged>]) -> Result<Arc<Image>, Error> {
        if staged.is_empty()
            && let Some(known) = self.known(&new)
        {
            return Ok(known);
        }
        let temp = self.temp_path("commit");
        let committed = self.prepare(&new, &temp).and_then(|()| self.publish(new, staged, &temp));
        super::staged::discard(&temp);
        committed
    }

    /// The image when it is there with all these names.
    fn known(&self, new: &NewImage) -> Option<Arc<Image>> {
        let index = self.index();
        let image = index.image(&new.id)?;
        let named = |name: &String| index.named(name).is_some_and(|found| found.id == image.id);
        new.names.iter().all(named).then(|| Arc::clone(image))
    }

    /// Writes the records below `temp` and syncs everything written so far, layers included.
    fn prepare(&self, new: &NewImage, temp: &PathBuf) -> Result<(), Error> {
        fs::create_dir(temp).map_err(|e| self.failed("make", temp, e))?;
        let image_path = temp.join("image");
        let layers = new.layers.iter().map(Digest::to_string).collect();
        let image = ImageRecord { config: new.raw_config.clone(), layers };
        record::write(&image_path, &image).map_err(|e| self.failed("write", &image_path, e))?;
        for (n, name) in new.names.iter().enumerate() {
            let path = temp.join(n.to_string());
            let name = NameRecord { name: name.clone(), image: new.id.to_string() };
            record::write(&path, &name).map_err(|e| self.failed("write", &path, e))?;
        }
        rustix::fs::syncfs(&self.handle).map_err(|e| self.failed("sync", &self.root, e.into()))
    }

    /// The renames, layers first; holds the lock.
    fn publish(&self, new: NewImage, staged: &[Arc<Staged>], temp: &std::path::Path) -> Result<Arc<Image>, Error> {
        let mut kept = self.kept();
        for layer in staged {
            self.publish_layer(&mut kept, layer)?;
        }
        let missing = new.layers.iter().find(|layer| !kept.layers.contains_key(layer));
        if let Some(missing) = missing {
            return Err(Error::LayerMissing(missing.to_string()));
        }
        let index = self.index();
        if index.image(&new.id).is_none() {
            self.rename(temp.join("image"), self.image_path(&new.id))?;
        }
        for (n, name) in new.names.iter().enumerate() {
            self.rename(temp.join(n.to_string()), self.name_path(name))?;
        }
        let image = assemble(&new.id, new.raw_config.len(), new.config, new.layers, &kept);
        let next = index.with(&new.id, image, &new.names);
        let image = next.image(&new.id).cloned().expect("just added");
        self.index.store(Arc::new(next));
        Ok(image)
    }

    fn publish_layer(&self, kept: &mut Kept, layer: &Staged) -> Result<(), Error> {
        // Another image with this layer may have been first.
        if layer.is_taken() || kept.layers.contains_key(layer.diff_id()) {
            return Ok(());
        }
        let path = self.layer_path(layer.diff_id());
        // A directory of this name that is not in the index has a damaged record: it makes way.
        if path.exists() {
            let held = kept.holds.values().any(|layers| layers.contains(layer.diff_id()));
            if held {
                return self.adopt_damaged(kept, layer);
            }
            let trash = self.temp_path("trash");
            self.rename(path.clone(), trash.clone())?;
            super::staged::discard_in_background(trash);
        }
        self.rename(layer.path().to_owned(), path)?;
        layer.take();
        kept.layers.insert(layer.diff_id().clone(), layer.usage());
        self.count(layer.usage());
        Ok(())
    }

    /// A layer whose record is damaged while containers have it mounted: its files must stay where they are, so only the
    /// record is replaced. Its files were synced before that record first existed.
    fn adopt_damaged(&self, kept: &mut Kept, layer: &Staged) -> Result<(), Error> {
        self.rename(layer.path().join("record"), self.layer_path(layer.diff_id()).join("record"))?;
        kept.layers.insert(layer.diff_id().clone(), layer.usage());
        self.count(layer.usage());
        Ok(())
    }

    fn rename(&self, from: PathBuf, to: PathBuf) -> Result<(), Error> {
        fs::rename(&from, &to).map_err(|e| self.failed("rename into place", &to, e))
    }
}

/// An image without names; its size counts each layer once.
pub(super) fn assemble(
    id: &Digest,
    config_bytes: usize,
    config: Arc<ImageConfiguration>,
    layers: Vec<Digest>,
    kept: &Kept,
) -> Image {
    let mut seen = std::collections::HashSet::new();
    let once = layers.iter().filter(|layer| seen.insert(*layer));
    let unpacked: u64 = once.filter_map(|layer| kept.layers.get(layer)).map(|usage| usage.bytes).sum();
    let size = unpacked + config_bytes as u64;
    Image { id: id.to_string(), repo_tags: Vec::new(), repo_digests: Vec::new(), size, config, layers }
}
