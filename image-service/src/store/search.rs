// SPDX-License-Identifier: Apache-2.0
//! Searches for the layer that describes a directory, among layers that only imply it.

use crate::store::merged::{Merged, Part};
use gorae_unpack::meta;
use gorae_unpack::refusal::Refusal;
use std::collections::HashSet;

/// A search for the descriptions of directories.
pub struct Search {
    layers: Merged,
    implied: Vec<HashSet<Vec<u8>>>,
    /// The last directory that was examined. Paths are sorted, so it is usually the parent of the next one as well.
    last: (Vec<u8>, Option<Merged>),
    /// A path that no layer below this one has, so that none of them has anything inside it either.
    nowhere: Option<(usize, Vec<u8>)>,
}

impl Search {
    /// Searches layers (topmost first), each of which implies some directories.
    pub fn new(layers: Merged, implied: Vec<HashSet<Vec<u8>>>) -> Self {
        let last = (Vec::new(), Some(layers.clone()));
        Self { layers, implied, last, nowhere: None }
    }

    /// Returns the layers.
    pub fn into_layers(self) -> Merged {
        self.layers
    }

    /// The directory that should be shown at `path` instead of the current one; `None` if the current one is right.
    ///
    /// # Errors
    /// As [`Merged::directory`].
    pub fn other_source(&mut self, path: &[u8]) -> Result<Option<(usize, Vec<u8>)>, Refusal> {
        let Some(found) = self.directory(path)? else { return Ok(None) };
        let Some(top) = found.parts.first().cloned() else { return Ok(None) };
        let Some((source, at)) = self.describing(found, path)? else { return Ok(None) };
        if (source.layer, at.as_slice()) == (top.layer, path) || meta::is_same(&*top.handle, &*source.handle)? {
            return Ok(None);
        }
        Ok(Some((source.layer, at)))
    }

    /// The directory of the topmost layer in which a member describes it, and its path in that layer.
    ///
    /// If a directory replaces a link, this is the target of the link; if it replaces anything else or is new, it is `None`.
    fn describing(&mut self, mut found: Merged, path: &[u8]) -> Result<Option<(Part, Vec<u8>)>, Refusal> {
        let mut at = path.to_vec();
        loop {
            if let Some(part) = found.parts.iter().find(|part| !self.implied[part.layer].contains(&at)) {
                return Ok(Some((part.clone(), at)));
            }
            let Some(lowest) = found.lowest().filter(|_| !found.is_new) else { return Ok(None) };
            let is_nowhere = |(layer, parent): &(usize, Vec<u8>)| *layer == lowest && is_in(&at, parent);
            if self.nowhere.as_ref().is_some_and(is_nowhere) {
                return Ok(None);
            }
            match self.layers.below(lowest).resolve(&at)? {
                Some(below) => (found, at) = below,
                None => {
                    self.nowhere = Some((lowest, at));
                    return Ok(None);
                }
            }
        }
    }

    /// The directory at `path`, as the layers show it.
    ///
    /// # Errors
    /// As [`Merged::directory`].
    pub fn directory(&mut self, path: &[u8]) -> Result<Option<Merged>, Refusal> {
        if path.is_empty() {
            return Ok(Some(self.layers.clone()));
        }
        let (parent, name) = split(path);
        if self.last.0 != parent {
            let found = match &self.last {
                (last, Some(directory)) if is_in(parent, last) => directory.directory(&parent[last.len()..])?,
                _ => self.layers.directory(parent)?,
            };
            self.last = (parent.to_vec(), found);
        }
        match &self.last.1 {
            Some(directory) => directory.directory(name),
            None => Ok(None),
        }
    }
}

/// Whether `path` is below the directory at `parent`.
fn is_in(path: &[u8], parent: &[u8]) -> bool {
    parent.is_empty() || path.strip_prefix(parent).is_some_and(|rest| rest.starts_with(b"/"))
}

/// Splits a path into its parent directory and its last component.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}
