// SPDX-License-Identifier: Apache-2.0
//! What is known about an image on this node: immutable facts and its names, as of one moment.

use gorae_digest::Digest;
use gorae_image_formats::user::User;
use oci_spec::image::ImageConfiguration;
use std::path::PathBuf;
use std::sync::Arc;

/// An image on this node. A snapshot: a later pull or removal makes a new one.
///
/// - Shapes: an image whose last tag moved away stays, with empty `repo_tags`, until it is removed.
#[derive(Debug, Clone)]
pub struct Image {
    /// `sha256:<hex>`, the digest of the image config. It does not depend on the registry or tag that the image came from.
    pub id: String,
    /// `host/path:tag` names, normalised and sorted.
    pub repo_tags: Vec<String>,
    /// `host/path@digest` names, sorted; the digest is that of what was pulled (an index or a manifest).
    pub repo_digests: Vec<String>,
    /// Bytes that the unpacked layers and the config take; never 0.
    pub size: u64,
    /// The image config. The image's author wrote it, so nothing in it is to be trusted.
    pub config: Arc<ImageConfiguration>,
    /// Diff ids, bottom layer first.
    pub layers: Vec<Digest>,
    /// What is laid on top of them.
    pub top: Top,
}

/// A tree of directories that is laid on top of an image's layers. It has the directories that an upper layer only
/// implies, as a lower one describes them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Top {
    /// Not known: the image was pulled by a version of Gorae that did not look for such directories.
    #[default]
    Unknown,
    /// The image does not need one.
    Nothing,
    /// The image needs this one, which is named like a layer.
    Tree(Digest),
}

impl Image {
    /// All that has to stay on disk for it.
    pub(crate) fn needs(&self) -> impl Iterator<Item = &Digest> {
        let tree = match &self.top {
            Top::Tree(tree) => Some(tree),
            Top::Unknown | Top::Nothing => None,
        };
        self.layers.iter().chain(tree)
    }

    /// The config's user, which containers run as by default.
    pub fn user(&self) -> User {
        User::of(&self.config)
    }
}

/// What a container needs of its image; the layers stay on disk until the owner releases them.
#[derive(Debug, Clone)]
pub struct Held {
    /// The image's id.
    pub image_id: String,
    /// Directories for overlayfs, topmost first, each once: the tree that the image may need, then its layers. Never
    /// empty: an image without layers has an empty directory.
    pub layers: Vec<PathBuf>,
    /// The image config, untrusted.
    pub config: Arc<ImageConfiguration>,
}
