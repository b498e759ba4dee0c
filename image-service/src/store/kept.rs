// SPDX-License-Identifier: Apache-2.0
//! The layers on disk and the reasons to keep them, guarded by the store's lock.

use crate::store::record::Implied;
use gorae_digest::Digest;
use gorae_unpack::Usage;
use std::collections::{HashMap, HashSet};

/// Layers on disk and the reasons to keep them, besides images.
#[derive(Debug, Default)]
pub struct Kept {
    /// By diff id; trees by their names.
    pub layers: HashMap<Digest, KeptLayer>,
    /// By owner: the containers that have the layers mounted.
    pub holds: HashMap<String, HashSet<Digest>>,
    /// By layer: the number of pulls that rely on it.
    pub pins: HashMap<Digest, usize>,
    /// Whether an image has a record that currently cannot be read, so that it is unknown which layers it needs.
    pub has_unread_images: bool,
}

/// A layer on disk.
#[derive(Debug, Clone, Copy)]
pub struct KeptLayer {
    /// Its disk usage.
    pub usage: Usage,
    /// `None` for a tree, and for a layer that must be unpacked again before another image can use it.
    pub implied: Option<Implied>,
}
