// SPDX-License-Identifier: Apache-2.0
//! Plans and builds the tree on top of an image: which directories it has to hold; see `top.rs`.

use crate::store::merged::Merged;
use crate::store::search::{Search, split};
use gorae_unpack::refusal::Refusal;
use gorae_unpack::space::Space;
use gorae_unpack::{Error, Reserve, Usage, beneath, meta};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::os::fd::OwnedFd;

/// What a directory takes.
const BLOCK: u64 = 4096;

/// A layer's files and what it leaves to those below.
#[derive(Debug)]
pub struct Lower {
    /// Its `fs` directory.
    pub root: OwnedFd,
    /// Directories that no member describes, the root with an empty name.
    pub implied: HashSet<Vec<u8>>,
}

/// What the tree has to hold.
#[derive(Debug)]
pub struct Plan {
    /// By path, parents before their content: the layer whose directory it is copied from, and the path there.
    directories: BTreeMap<Vec<u8>, (usize, Vec<u8>)>,
    layers: Merged,
}

impl Plan {
    /// Compares what layers (topmost first) show of the directories that they imply with what the lower ones say.
    ///
    /// # Errors
    /// [`Error::Place`] with the directory.
    pub fn of(lowers: Vec<Lower>) -> Result<Self, Error> {
        let (roots, implied): (Vec<OwnedFd>, Vec<HashSet<Vec<u8>>>) =
            lowers.into_iter().map(|lower| (lower.root, lower.implied)).unzip();
        // What the lowest layer implies is not described by any layer.
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
            // The layers show it, and as it has to be; otherwise they would not show what is in it.
            let top = search.directory(&path).map_err(|e| e.of(&path))?.and_then(|found| found.parts.first().cloned());
            let top = top.ok_or_else(|| Refusal::from(Errno::NOENT).of(&path))?;
            directories.insert(path.clone(), (top.layer, path));
        }
        Ok(Self { directories, layers: search.into_layers() })
    }

    /// Whether no tree is needed, because the layers already show everything as it has to be.
    pub fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// Makes the directories in an empty one.
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
        // Only after everything is made: new entries inherit a directory's access lists, and change its times.
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

/// The directories on the way, the root first.
fn parents(path: &[u8]) -> Vec<Vec<u8>> {
    let slashes = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
    let root = (!path.is_empty()).then_some(0);
    root.into_iter().chain(slashes).map(|at| path[..at].to_vec()).collect()
}

fn open(root: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Refusal> {
    Ok(beneath::open(root, if path.is_empty() { b"." } else { path })?)
}
