// SPDX-License-Identifier: Apache-2.0
//! Which directories the tree on top of an image has to hold, and the making of it; see `top`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::os::fd::OwnedFd;

use rustix::fs::Mode;

use super::merged::{Merged, Part};
use super::top::Lower;
use gorae_unpack::Reserve;
use gorae_unpack::meta::{self, Refusal};
use gorae_unpack::space::Space;
use gorae_unpack::tree::{open_beneath, shown};
use gorae_unpack::{Error, Usage};

/// What a directory takes.
const BLOCK: u64 = 4096;

/// What the tree has to hold.
#[derive(Debug)]
pub struct Plan {
    /// By path, parents before what is in them: which layer's directory it is to be like, and where that is there.
    directories: BTreeMap<Vec<u8>, (usize, Vec<u8>)>,
    layers: Merged,
}

/// The search for what describes a directory.
struct Search {
    layers: Merged,
    implied: Vec<HashSet<Vec<u8>>>,
    /// The directory that was looked into last: names come sorted, so it is the next one's, too.
    last: (Vec<u8>, Option<Merged>),
    /// The path that nothing below the layer of this number has: neither has it what is in it.
    nowhere: Option<(usize, Vec<u8>)>,
}

impl Plan {
    /// Compares what layers (topmost first) show of the directories that they imply with what the lower ones say.
    ///
    /// - Errors: [`Error::Place`] with the directory.
    pub fn of(lowers: Vec<Lower>) -> Result<Self, Error> {
        let (roots, implied): (Vec<OwnedFd>, Vec<HashSet<Vec<u8>>>) =
            lowers.into_iter().map(|lower| (lower.root, lower.implied)).unzip();
        let mut search = Search { layers: Merged::root(roots), implied, last: (Vec::new(), None), nowhere: None };
        search.last.1 = Some(search.layers.clone());
        // What the lowest layer implies nobody describes.
        let above = search.implied.split_last().map_or(&[][..], |(_, above)| above);
        let paths: BTreeSet<Vec<u8>> = above.iter().flatten().cloned().collect();
        let mut directories = BTreeMap::new();
        for path in paths {
            if let Some(found) = search.other_source(&path).map_err(|e| failed(&path, e))? {
                directories.insert(path, found);
            }
        }
        let parents: BTreeSet<Vec<u8>> = directories.keys().flat_map(|path| parents(path)).collect();
        for path in parents.into_iter().filter(|path| !directories.contains_key(path)).collect::<Vec<_>>() {
            // It is shown, or what is in it would not be, and as it has to be.
            let top =
                search.directory(&path).map_err(|e| failed(&path, e))?.and_then(|found| found.parts.first().cloned());
            let top = top.ok_or_else(|| failed(&path, rustix::io::Errno::NOENT))?;
            directories.insert(path.clone(), (top.layer, path));
        }
        Ok(Self { directories, layers: search.layers })
    }

    /// Whether the layers show everything as it has to be.
    pub fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// Makes the directories in an empty one.
    ///
    /// - Errors: [`Error::Place`], [`Error::Reserve`].
    pub fn build(&self, root: OwnedFd, reserve: Reserve) -> Result<Usage, Error> {
        let mut space = Space::new(reserve);
        for path in self.directories.keys().filter(|path| !path.is_empty()) {
            space.check(&root)?;
            space.spend(BLOCK, 1);
            let (parent, name) = split(path);
            let made = open(&root, parent)
                .and_then(|parent| Ok(rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700))?));
            made.map_err(|e| failed(path, e))?;
        }
        // After everything is made: what is made in a directory inherits its access lists, and moves its time.
        for (path, source) in &self.directories {
            self.describe(&root, path, source).map_err(|e| failed(path, e))?;
        }
        let inodes = self.directories.len() as u64;
        Ok(Usage { bytes: inodes * BLOCK, inodes })
    }

    fn describe(&self, root: &OwnedFd, path: &[u8], (layer, at): &(usize, Vec<u8>)) -> Result<(), Refusal> {
        let source = self.layers.parts.iter().find(|part| part.layer == *layer).ok_or(rustix::io::Errno::NOENT)?;
        let directory = open(root, path)?;
        let times = meta::copy(open(&source.handle, at)?, &directory)?;
        Ok(meta::set_times(&directory, times)?)
    }
}

impl Search {
    /// The directory that should be shown at `path` in place of the one that is; `None` when that one is right.
    fn other_source(&mut self, path: &[u8]) -> Result<Option<(usize, Vec<u8>)>, Refusal> {
        let Some(found) = self.directory(path)? else { return Ok(None) };
        let Some(top) = found.parts.first().cloned() else { return Ok(None) };
        let Some((source, at)) = self.describing(found, path)? else { return Ok(None) };
        if (source.layer, at.as_slice()) == (top.layer, path) || meta::is_same(&*top.handle, &*source.handle)? {
            return Ok(None);
        }
        Ok(Some((source.layer, at)))
    }

    /// The topmost layer's directory that a member describes, and where it is in that layer.
    ///
    /// Where a directory replaces a link, it is what the link led to; where it replaces anything else or is new, nothing.
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

    /// The directory at `path` as the layers show it.
    fn directory(&mut self, path: &[u8]) -> Result<Option<Merged>, Refusal> {
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

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

/// The directories on the way, the root first.
fn parents(path: &[u8]) -> Vec<Vec<u8>> {
    let slashes = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
    let root = (!path.is_empty()).then_some(0);
    root.into_iter().chain(slashes).map(|at| path[..at].to_vec()).collect()
}

fn open(root: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Refusal> {
    Ok(open_beneath(root, if path.is_empty() { b"." } else { path })?)
}

fn failed(path: &[u8], refusal: impl Into<Refusal>) -> Error {
    match refusal.into() {
        Refusal::Kernel(errno) => Error::Place { path: shown(path), source: errno.into() },
        Refusal::TooLarge { name, length } => Error::Attribute { path: shown(path), name: shown(&name), length },
    }
}
