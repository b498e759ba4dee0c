// SPDX-License-Identifier: Apache-2.0
//! A snapshot of an image on this node: immutable facts and current names.

use gorae_digest::Digest;
use gorae_image_formats::user::User;
use oci_spec::image::ImageConfiguration;
use std::path::PathBuf;
use std::sync::Arc;

/// An image on this node. This is a snapshot: a later pull or removal creates a new one.
///
/// - Shapes: an image whose last tag moved to another image stays, with empty `repo_tags`, until it is removed.
#[derive(Debug, Clone)]
pub struct Image {
    /// `sha256:<hex>`, the digest of the image config. It does not depend on the source registry or the tag.
    pub id: String,
    /// `host/path:tag` names, normalised and sorted.
    pub repo_tags: Vec<String>,
    /// `host/path@digest` names, sorted; the digest is that of the index or manifest that was pulled.
    pub repo_digests: Vec<String>,
    /// Bytes that the unpacked layers and the config take on disk; never 0.
    pub size: u64,
    /// The image config. The author of the image wrote it, so it is untrusted.
    pub config: Arc<ImageConfiguration>,
    /// Diff ids, bottom layer first.
    pub layers: Vec<Digest>,
    /// What lies on top of the layers.
    pub top: Top,
}

/// A tree of directories that lies on top of an image's layers. It holds directories that an upper layer only implies, as
/// a lower layer describes them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Top {
    /// Not known: the image was pulled by a version of Gorae that did not check for such directories.
    #[default]
    Unknown,
    /// The image does not need one.
    Nothing,
    /// The image needs this tree, which is named like a layer.
    Tree(Digest),
}

impl Image {
    /// Everything that must stay on disk for the image.
    pub(crate) fn needs(&self) -> impl Iterator<Item = &Digest> {
        let tree = match &self.top {
            Top::Tree(tree) => Some(tree),
            Top::Unknown | Top::Nothing => None,
        };
        self.layers.iter().chain(tree)
    }

    /// The user in the config, which is the default user of containers.
    pub fn user(&self) -> User {
        User::of(&self.config)
    }
}

/// The parts of an image that a container needs. The layers stay on disk until the owner releases them.
#[derive(Debug, Clone)]
pub struct Held {
    /// The image's id.
    pub image_id: String,
    /// Directories for overlayfs, topmost first, without duplicates: the image's tree if it needs one, then its layers.
    /// Never empty: an image without layers has an empty directory.
    pub layers: Vec<PathBuf>,
    /// The image config, untrusted.
    pub config: Arc<ImageConfiguration>,
}
