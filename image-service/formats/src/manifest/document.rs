// SPDX-License-Identifier: Apache-2.0
//! What manifests and indexes say, checked.

use crate::platform::Platform;
use gorae_digest::Digest;

/// A blob or manifest as another manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// As written: it may be empty, or wrong.
    pub media_type: String,
    /// What its bytes hash to.
    pub digest: Digest,
    /// In bytes.
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

/// What a manifest document turned out to be.
#[derive(Debug)]
pub enum Document {
    /// A choice by platform.
    Index(Vec<IndexEntry>),
    /// One image.
    Manifest(Manifest),
}

/// One entry of an index.
#[derive(Debug, Clone)]
pub struct IndexEntry {
    /// The manifest or index that it leads to.
    pub descriptor: Descriptor,
    /// `None` when the entry does not name one.
    pub platform: Option<Platform>,
}
