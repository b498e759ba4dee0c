// SPDX-License-Identifier: Apache-2.0
//! The layers on disk and why they stay, as the store's lock guards them.

use crate::store::record::Implied;
use gorae_digest::Digest;
use gorae_unpack::Usage;
use std::collections::{HashMap, HashSet};

/// Layers on disk and the reasons to keep them, besides images.
#[derive(Debug, Default)]
pub struct Kept {
    /// By diff id; trees by their own names.
    pub layers: HashMap<Digest, KeptLayer>,
    /// By owner: containers that have the layers mounted.
    pub holds: HashMap<String, HashSet<Digest>>,
    /// By layer: the number of pulls that rely on finding it.
    pub pins: HashMap<Digest, usize>,
    /// Whether there is an image whose record cannot be read for now, so that it is unknown which layers it needs.
    pub has_unread_images: bool,
}

/// A layer on disk.
#[derive(Debug, Clone, Copy)]
pub struct KeptLayer {
    /// What it takes.
    pub usage: Usage,
    /// `None` for a tree, and for a layer that has to be unpacked again before another image can be made with it.
    pub implied: Option<Implied>,
}
