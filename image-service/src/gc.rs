// SPDX-License-Identifier: Apache-2.0
//! Garbage collection of layers. Images name layers, containers hold them, and pulls pin them; any other layer is
//! removed.

use crate::image::{Held, Top};
use crate::store::{Error, Kept, Store, discard_in_background, top_first};
use gorae_digest::Digest;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// The result of a collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Layers removed.
    pub layers: usize,
    /// Bytes that they took on disk.
    pub bytes: u64,
}

/// Layers that a pull relies on. They are kept, from the moment they exist, until this is dropped.
#[derive(Debug)]
pub struct Pins {
    store: Arc<Store>,
    layers: Vec<Digest>,
    present: HashSet<Digest>,
}

impl Store {
    /// Keeps the layers of an image for `owner`, even if the image is removed; `None` if the image no longer exists.
    pub fn hold(&self, id: &str, owner: &str) -> Option<Held> {
        // Under the lock, the image is either still named or already swept.
        let mut kept = self.kept();
        let index = self.index();
        let image = index.image(&Digest::parse(id).ok()?)?;
        kept.holds.entry(owner.to_owned()).or_default().extend(image.needs().cloned());
        let tree = match &image.top {
            Top::Tree(tree) => Some(tree),
            Top::Unknown | Top::Nothing => None,
        };
        let top_first = tree.into_iter().chain(top_first(&image.layers));
        let mut layers: Vec<PathBuf> = top_first.map(|layer| self.layer_fs(layer)).collect();
        if layers.is_empty() {
            layers.push(self.empty_layer());
        }
        Some(Held { image_id: image.id.clone(), layers, config: Arc::clone(&image.config) })
    }

    /// Keeps layers for `owner`. They are given by the directories of an earlier [`Held`].
    ///
    /// # Errors
    /// [`Error::NotALayer`], and nothing is held then; [`Error::LayerMissing`], and the layers that exist are held then.
    pub fn hold_layers(&self, directories: &[PathBuf], owner: &str) -> Result<(), Error> {
        let mut layers = HashSet::new();
        for path in directories.iter().filter(|path| **path != self.empty_layer()) {
            let digest = path.parent().and_then(|p| p.file_name()?.to_str()).and_then(Digest::from_file_name);
            let own = digest.filter(|digest| self.layer_fs(digest) == *path);
            layers.insert(own.ok_or_else(|| Error::NotALayer(path.clone()))?);
        }
        let missing = layers.iter().find(|layer| !self.layer_fs(layer).is_dir()).map(Digest::to_string);
        self.kept().holds.entry(owner.to_owned()).or_default().extend(layers);
        missing.map_or(Ok(()), |layer| Err(Error::LayerMissing(layer)))
    }

    /// Releases everything that `owner` holds, if anything.
    pub fn release(&self, owner: &str) {
        let mut kept = self.kept();
        if let Some(layers) = kept.holds.remove(owner) {
            self.sweep(&mut kept, layers);
        }
    }

    /// Removes every layer that nothing needs, including leftovers of a crash and layers with damaged records.
    pub fn collect(&self) -> Collected {
        let mut kept = self.kept();
        let on_disk = std::fs::read_dir(self.root().join("layers")).into_iter().flatten().flatten();
        let candidates = on_disk.filter_map(|entry| Digest::from_file_name(entry.file_name().to_str()?)).collect();
        self.sweep(&mut kept, candidates)
    }

    /// Pins `layers`, including those that do not exist yet, until the pins are dropped. The pins know which are present.
    pub fn pin(self: &Arc<Self>, layers: &[Digest]) -> Pins {
        let mut kept = self.kept();
        for layer in layers {
            *kept.pins.entry(layer.clone()).or_default() += 1;
        }
        let is_usable = |layer: &&Digest| kept.layers.get(layer).is_some_and(|kept| kept.implied.is_some());
        let present = layers.iter().filter(is_usable).cloned().collect();
        Pins { store: Arc::clone(self), layers: layers.to_vec(), present }
    }

    /// Removes those `candidates` that nothing needs. The caller's lock prevents new users of them in the meantime.
    pub(crate) fn sweep(&self, kept: &mut Kept, candidates: HashSet<Digest>) -> Collected {
        if kept.has_unread_images {
            tracing::warn!("not removing any layers: an image that cannot be read now may need them");
            return Collected::default();
        }
        let index = self.index();
        let named: HashSet<&Digest> = index.images().flat_map(|image| image.needs()).collect();
        let mut collected = Collected::default();
        for layer in candidates {
            let held = kept.holds.values().any(|layers| layers.contains(&layer));
            if held || named.contains(&layer) || kept.pins.contains_key(&layer) {
                continue;
            }
            if let Some(removed) = kept.layers.remove(&layer) {
                self.uncount(removed.usage);
                collected.bytes += removed.usage.bytes;
            }
            collected.layers += 1;
            self.discard_layer(&layer);
        }
        collected
    }

    /// Removes a layer's name immediately, and its data in the background.
    fn discard_layer(&self, layer: &Digest) {
        let (path, trash) = (self.layer_path(layer), self.temp_path("trash"));
        match std::fs::rename(&path, &trash) {
            Ok(()) => discard_in_background(trash),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                // A full disk can refuse even a rename. Without its record the layer counts as damaged until it is removed.
                tracing::warn!(path = %path.display(), %error, "cannot set a layer aside, removing it in place");
                let _ = std::fs::remove_file(path.join("record"));
                crate::store::discard(&path);
            }
        }
    }
}

impl Pins {
    /// Whether the store had this layer, with a complete record, when it was pinned. If so, it still has it.
    pub fn has(&self, layer: &Digest) -> bool {
        self.present.contains(layer)
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let mut kept = self.store.kept();
        for layer in &self.layers {
            if let Some(count) = kept.pins.get_mut(layer) {
                *count -= 1;
                if *count == 0 {
                    kept.pins.remove(layer);
                }
            }
        }
        let candidates = self.layers.drain(..).collect();
        self.store.sweep(&mut kept, candidates);
    }
}
