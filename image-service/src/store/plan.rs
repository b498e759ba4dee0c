// SPDX-License-Identifier: Apache-2.0
//! Plans and builds the tree on top of an image: the directories that it must contain; see `top.rs`.

use crate::store::merged::Merged;
use crate::store::search::{Search, split};
use gorae_unpack::refusal::Refusal;
use gorae_unpack::space::Space;
use gorae_unpack::{Error, Reserve, Usage, beneath, meta};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::os::fd::OwnedFd;

/// Disk usage of a directory.
const BLOCK: u64 = 4096;

/// The files of a layer, and the directories that it leaves to lower layers.
#[derive(Debug)]
pub struct Lower {
    /// Its `fs` directory.
    pub root: OwnedFd,
    /// Directories that no member describes; the root has an empty name.
    pub implied: HashSet<Vec<u8>>,
}

/// The content of the tree.
#[derive(Debug)]
pub struct Plan {
    /// By path, parents before their content: the layer whose directory is copied, and the path in it.
    directories: BTreeMap<Vec<u8>, (usize, Vec<u8>)>,
    layers: Merged,
}

impl Plan {
    /// Compares how layers (topmost first) show the directories that they imply with how lower layers describe them.
    ///
    /// # Errors
    /// [`Error::Place`] that names the directory.
    pub fn of(lowers: Vec<Lower>) -> Result<Self, Error> {
        let (roots, implied): (Vec<OwnedFd>, Vec<HashSet<Vec<u8>>>) =
            lowers.into_iter().map(|lower| (lower.root, lower.implied)).unzip();
        // No layer describes what the lowest layer implies.
        let above = implied.split_last().map_or(&[][..], |(_, above)| above);
        let paths: BTreeSet<Vec<u8>> = above.iter().flatten().cloned().collect();
        let mut search = Search::new(Merged::root(roots), implied);
        let mut directories = BTreeMap::new();
        for path in paths {
            if let Some(found) = search.other_source(&path).map_err(|e| e.of(&path))? {
                directories.insert(path, found);
            }
        }
        let parents: BTreeSet<Vec<u8>> = directories.keys().flat_map(|path| parents(path)).collect();
        for path in parents.into_iter().filter(|path| !directories.contains_key(path)).collect::<Vec<_>>() {
            // The layers show it correctly; otherwise they would not show its content.
            let top = search.directory(&path).map_err(|e| e.of(&path))?.and_then(|found| found.parts.first().cloned());
            let top = top.ok_or_else(|| Refusal::from(Errno::NOENT).of(&path))?;
            directories.insert(path.clone(), (top.layer, path));
        }
        Ok(Self { directories, layers: search.into_layers() })
    }

    /// Whether no tree is needed, because the layers already show everything correctly.
    pub fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// Creates the directories in the empty directory `root`.
    ///
    /// # Errors
    /// [`Error::Place`], [`Error::Reserve`].
    pub fn build(&self, root: OwnedFd, reserve: Reserve) -> Result<Usage, Error> {
        let mut space = Space::new(reserve);
        for path in self.directories.keys().filter(|path| !path.is_empty()) {
            space.check(&root)?;
            space.spend(BLOCK, 1);
            let (parent, name) = split(path);
            let made = open(&root, parent)
                .and_then(|parent| Ok(rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700))?));
            made.map_err(|e| e.of(path))?;
        }
        // Only after everything is created: new entries inherit the access lists of a directory, and change its times.
        for (path, source) in &self.directories {
            self.describe(&root, path, source).map_err(|e| e.of(path))?;
        }
        let inodes = self.directories.len() as u64;
        Ok(Usage { bytes: inodes * BLOCK, inodes })
    }

    fn describe(&self, root: &OwnedFd, path: &[u8], (layer, at): &(usize, Vec<u8>)) -> Result<(), Refusal> {
        let source = self.layers.parts.iter().find(|part| part.layer == *layer).ok_or(Errno::NOENT)?;
        let directory = open(root, path)?;
        let times = meta::copy(open(&source.handle, at)?, &directory)?;
        Ok(meta::set_times(&directory, times)?)
    }
}

/// The parent directories of a path, the root first.
fn parents(path: &[u8]) -> Vec<Vec<u8>> {
    let slashes = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
    let root = (!path.is_empty()).then_some(0);
    root.into_iter().chain(slashes).map(|at| path[..at].to_vec()).collect()
}

fn open(root: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Refusal> {
    Ok(beneath::open(root, if path.is_empty() { b"." } else { path })?)
}
