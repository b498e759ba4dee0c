// SPDX-License-Identifier: Apache-2.0
//! What is known about an image on this node: immutable facts and its names, as of one moment.

use std::path::PathBuf;
use std::sync::Arc;

use oci_spec::image::ImageConfiguration;

use gorae_digest::Digest;

/// An image on this node. A snapshot: a later pull or removal makes a new one.
///
/// - Shapes: an image whose last tag moved away stays, with empty `repo_tags`, until it is removed.
#[derive(Debug, Clone)]
pub struct Image {
    /// `sha256:<hex>`, the digest of the image config. The same whatever registry or tag the image came from.
    pub id: String,
    /// `host/path:tag` names, normalised and sorted.
    pub repo_tags: Vec<String>,
    /// `host/path@digest` names, sorted; the digest is that of what was pulled (an index or a manifest).
    pub repo_digests: Vec<String>,
    /// Bytes that the unpacked layers and the config take; never 0.
    pub size: u64,
    /// The image config. Written by the image's maker: nothing in it is to be trusted.
    pub config: Arc<ImageConfiguration>,
    /// Diff ids, bottom layer first.
    pub layers: Vec<Digest>,
    /// What is laid on top of them.
    pub top: Top,
}

/// A tree of nothing but directories that is laid on top of an image's layers: those that an upper layer only implies,
/// as a lower one describes them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Top {
    /// Nobody has looked: the image was pulled by a Gorae that did not know of them.
    #[default]
    Unknown,
    /// The image needs none.
    Nothing,
    /// It does; named like a layer.
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

    /// The config's user: who containers run as unless told otherwise.
    pub fn user(&self) -> User {
        User::parse(self.config.config().as_ref().and_then(|c| c.user().as_deref()).unwrap_or(""))
    }
}

/// The user part of an image's `User` (`user[:group]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// Nothing was said: root.
    Unset,
    /// A number that is a user id.
    Id(u32),
    /// Anything else: a name, or a number that is no user id (which must never be taken for root).
    Name(String),
}

impl User {
    fn parse(text: &str) -> Self {
        let user = text.split(':').next().unwrap_or("");
        if user.is_empty() {
            return Self::Unset;
        }
        let digits = user.bytes().all(|b| b.is_ascii_digit());
        match user.parse::<u32>() {
            Ok(id) if digits && id != u32::MAX => Self::Id(id),
            _ => Self::Name(user.to_owned()),
        }
    }
}

/// What a container needs of its image; the layers stay on disk until the owner releases them.
#[derive(Debug, Clone)]
pub struct Held {
    /// The image's id.
    pub image_id: String,
    /// Directories for overlayfs, topmost first, each once: the image's layers, below the tree that it may need. Never empty: an image without layers has an empty one.
    pub layers: Vec<PathBuf>,
    /// The image config, untrusted.
    pub config: Arc<ImageConfiguration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_32_bit_numbers_are_user_ids() {
        for (text, user) in [
            ("", User::Unset),
            (":5", User::Unset),
            ("0", User::Id(0)),
            ("1002:1003", User::Id(1002)),
            ("www-data:www-data", User::Name("www-data".into())),
            ("4294967295", User::Name("4294967295".into())),
            ("4294967296", User::Name("4294967296".into())),
            ("+1", User::Name("+1".into())),
            ("-1", User::Name("-1".into())),
            (" 1", User::Name(" 1".into())),
        ] {
            assert_eq!(User::parse(text), user, "{text:?}");
        }
    }
}
