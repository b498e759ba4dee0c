// SPDX-License-Identifier: Apache-2.0
//! The checked content of manifests and indexes.

use crate::platform::Platform;
use gorae_digest::Digest;

/// A reference to a blob or manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// As written: it may be empty or wrong.
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// The size in bytes.
    pub size: u64,
}

/// The manifest of one image for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The image config.
    pub config: Descriptor,
    /// Bottom layer first.
    pub layers: Vec<Descriptor>,
}

/// A parsed manifest document.
#[derive(Debug)]
pub enum Document {
    /// A choice of images by platform.
    Index(Vec<IndexEntry>),
    /// One image.
    Manifest(Manifest),
}

/// One entry of an index.
#[derive(Debug, Clone)]
pub struct IndexEntry {
    /// The manifest or index that it refers to.
    pub descriptor: Descriptor,
    /// `None` if the entry does not name a platform.
    pub platform: Option<Platform>,
}
