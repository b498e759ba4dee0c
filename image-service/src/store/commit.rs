// SPDX-License-Identifier: Apache-2.0
//! Makes a pulled image visible: writes records, syncs once, and then only renames.

use crate::image::{Image, Top};
use crate::store::disk::Store;
use crate::store::error::Error;
use crate::store::kept::Kept;
use crate::store::record::{self, ImageRecord, NameRecord};
use crate::store::staged::{self, Staged};
use crate::store::top;
use gorae_digest::Digest;
use gorae_unpack::Reserve;
use oci_spec::image::ImageConfiguration;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// A pulled image whose layers are staged or in the store.
#[derive(Debug)]
pub struct NewImage {
    /// Digest of `raw_config`.
    pub id: Digest,
    /// The bytes of the config.
    pub raw_config: String,
    /// The parsed config.
    pub config: Arc<ImageConfiguration>,
    /// Diff ids, bottom first.
    pub layers: Vec<Digest>,
    /// Normalised names that refer to this image from now on.
    pub names: Vec<String>,
}

impl Store {
    /// Commits an image. After `Ok` it survives a power failure, and all readers see it.
    ///
    /// - Shapes: the caller must have pinned the layers that are not staged.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::LayerMissing`], [`Error::Top`]; readers then see the previous state.
    pub fn commit(
        self: &Arc<Self>,
        new: NewImage,
        staged: &[Arc<Staged>],
        reserve: Reserve,
    ) -> Result<Arc<Image>, Error> {
        if staged.is_empty()
            && let Some(known) = self.known(&new)
        {
            return Ok(known);
        }
        let _pin = self.pin(&[top::name(&new.layers)]);
        let (top, tree) = self.make_top(&new.layers, staged, reserve).inspect_err(|error| {
            if let Error::Implied { layer, .. } = error {
                self.forget_implied(layer);
            }
        })?;
        let all: Vec<Arc<Staged>> = staged.iter().cloned().chain(tree).collect();
        let temp = self.temp_path("commit");
        let committed = self.prepare(&new, &top, &temp).and_then(|()| self.publish(new, top, &all, &temp));
        staged::discard(&temp);
        committed
    }

    /// The image, if it is present with all of these names.
    fn known(&self, new: &NewImage) -> Option<Arc<Image>> {
        let index = self.index();
        let image = index.image(&new.id).filter(|image| image.top != Top::Unknown)?;
        let named = |name: &String| index.named(name).is_some_and(|found| found.id == image.id);
        new.names.iter().all(named).then(|| Arc::clone(image))
    }

    /// Writes the records below `temp` and syncs all data written so far, layers included.
    fn prepare(&self, new: &NewImage, top: &Top, temp: &PathBuf) -> Result<(), Error> {
        fs::create_dir(temp).map_err(|e| Error::file("create", temp, e))?;
        let image_path = temp.join("image");
        let layers = new.layers.iter().map(Digest::to_string).collect();
        let top = match top {
            Top::Unknown => record::Top::Unknown,
            Top::Nothing => record::Top::Nothing,
            Top::Tree(_) => record::Top::Tree,
        };
        let image = ImageRecord { config: new.raw_config.clone(), layers, top };
        record::write(&image_path, &image).map_err(|e| Error::file("write", &image_path, e))?;
        for (n, name) in new.names.iter().enumerate() {
            let path = temp.join(n.to_string());
            let name = NameRecord { name: name.clone(), image: new.id.to_string() };
            record::write(&path, &name).map_err(|e| Error::file("write", &path, e))?;
        }
        rustix::fs::syncfs(&self.handle).map_err(|e| Error::file("sync", &self.root, e.into()))
    }

    /// Renames everything into place, layers first, while holding the lock.
    fn publish(
        &self,
        new: NewImage,
        top: Top,
        staged: &[Arc<Staged>],
        temp: &std::path::Path,
    ) -> Result<Arc<Image>, Error> {
        let mut kept = self.kept();
        for layer in staged {
            self.publish_layer(&mut kept, layer)?;
        }
        let missing = new.layers.iter().find(|layer| !kept.layers.contains_key(layer));
        if let Some(missing) = missing {
            return Err(Error::LayerMissing(missing.to_string()));
        }
        let index = self.index();
        if index.image(&new.id).is_none_or(|known| known.top == Top::Unknown) {
            self.rename(temp.join("image"), self.image_path(&new.id))?;
        }
        for (n, name) in new.names.iter().enumerate() {
            self.rename(temp.join(n.to_string()), self.name_path(name))?;
        }
        let image = assemble(&new.id, new.raw_config.len(), new.config, (new.layers, top), &kept);
        let next = index.with(&new.id, image, &new.names);
        let image = next.image(&new.id).cloned().expect("just added");
        self.index.store(Arc::new(next));
        Ok(image)
    }

    pub(super) fn publish_layer(&self, kept: &mut Kept, layer: &Staged) -> Result<(), Error> {
        let (id, new) = (layer.diff_id(), layer.layer());
        let known = kept.layers.get(id);
        if known.is_some_and(|known| known.implied.is_none() && new.implied.is_some()) {
            return self.replace_record(kept, layer);
        }
        // Another image with this layer may have been committed first.
        if layer.is_taken() || known.is_some() {
            return Ok(());
        }
        let path = self.layer_path(id);
        // A directory of this name that is not in the index has a damaged record: move it away.
        if path.exists() {
            let held = kept.holds.values().any(|layers| layers.contains(id));
            if held {
                return self.replace_record(kept, layer);
            }
            let trash = self.temp_path("trash");
            self.rename(path.clone(), trash.clone())?;
            staged::discard_in_background(trash);
        }
        self.rename(layer.path().to_owned(), path)?;
        layer.take();
        kept.layers.insert(id.clone(), new);
        self.count(new.usage);
        Ok(())
    }

    /// Replaces the record of a layer if that record is damaged or lacks information. Containers may have the layer mounted,
    /// so its files must stay where they are. They were synced before that record first existed.
    fn replace_record(&self, kept: &mut Kept, layer: &Staged) -> Result<(), Error> {
        let (path, new) = (self.layer_path(layer.diff_id()), layer.layer());
        if new.implied.is_some_and(|implied| implied.directories > 0) {
            self.rename(layer.path().join("implied"), path.join("implied"))?;
        }
        self.rename(layer.path().join("record"), path.join("record"))?;
        if let Some(before) = kept.layers.insert(layer.diff_id().clone(), new) {
            self.uncount(before.usage);
        }
        self.count(new.usage);
        Ok(())
    }

    fn rename(&self, from: PathBuf, to: PathBuf) -> Result<(), Error> {
        fs::rename(&from, &to).map_err(|e| Error::file("rename into place", &to, e))
    }
}

/// Creates an image without names; its size counts each layer once.
pub(super) fn assemble(
    id: &Digest,
    config_bytes: usize,
    config: Arc<ImageConfiguration>,
    (layers, top): (Vec<Digest>, Top),
    kept: &Kept,
) -> Image {
    let (repo_tags, repo_digests) = (Vec::new(), Vec::new());
    let mut image = Image { id: id.to_string(), repo_tags, repo_digests, size: 0, config, layers, top };
    let needed: std::collections::HashSet<&Digest> = image.needs().collect();
    let unpacked: u64 = needed.iter().filter_map(|layer| kept.layers.get(*layer)).map(|layer| layer.usage.bytes).sum();
    image.size = unpacked + config_bytes as u64;
    image
}
