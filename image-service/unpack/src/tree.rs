// SPDX-License-Identifier: Apache-2.0
//! The layer directory while it is filled: finds and creates parent directories by handle.
//!
//! Two rules make escape impossible. First, every name given to the kernel is a single component below one of our handles,
//! never `..`, and is opened without following links. Second, we resolve a link on the way to a member ourselves, component
//! by component; `..` stops at the layer's root, as it would inside the container (`walk.rs`).

use crate::beneath;
use crate::bounds::Bounds;
use crate::directories::{Directories, Origin};
use crate::error::Error;
use crate::limits::Limits;
use crate::meta;
use crate::refusal::shown;
use crate::unpacked::Layer;
use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

/// Most parent directories kept open: archives are ordered by directory, so few are enough.
const MAX_OPEN: usize = 32;

/// A layer directory that is being filled.
#[derive(Debug)]
pub struct Tree {
    root: Rc<Directory>,
    pub bounds: Bounds,
    pub directories: Directories,
    /// Open parents by their path in the archive; cleared when a name is replaced, since it may be part of such a path.
    open: HashMap<Vec<u8>, Rc<Directory>>,
}

/// An open directory of the layer.
#[derive(Debug)]
pub struct Directory {
    /// The directory itself.
    pub handle: OwnedFd,
    /// Its path, without links; empty for the root.
    pub path: Vec<u8>,
}

impl Directory {
    /// The path of a name in this directory.
    pub fn path_of(&self, name: &[u8]) -> Vec<u8> {
        if self.path.is_empty() { name.to_vec() } else { [&self.path, &b"/"[..], name].concat() }
    }
}

impl Tree {
    /// Takes over an open, empty directory.
    ///
    /// # Errors
    /// [`Error::Directory`] if its mode cannot be set (0755 unless the archive describes the root).
    pub fn new(root: OwnedFd, limits: Limits) -> Result<Self, Error> {
        let directory = |source: Errno| Error::Directory { what: "set the mode of", source: source.into() };
        rustix::fs::fchmod(&root, Mode::from_raw_mode(0o755)).map_err(directory)?;
        let root = Rc::new(Directory { handle: root, path: Vec::new() });
        Ok(Self { root, bounds: Bounds::new(limits), directories: Directories::default(), open: HashMap::new() })
    }

    /// Sets the directories' times and returns the finished layer.
    ///
    /// # Errors
    /// [`Error::Directory`] if a time cannot be set.
    pub fn finish(self) -> Result<Layer, Error> {
        let (usage, describes_root) = (self.bounds.usage(), self.directories.describes_root());
        let root = self.root;
        let implied = self.directories.finish(|path, times| {
            let directory = if path.is_empty() { Ok(None) } else { beneath::open(&root.handle, &path).map(Some) };
            // A directory that a later member replaced has no times to set.
            let Ok(directory) = directory else { return Ok(()) };
            let handle = directory.as_ref().map_or(root.handle.as_fd(), AsFd::as_fd);
            meta::set_times(handle, times)
                .map_err(|source| Error::Directory { what: "set a time in", source: source.into() })
        })?;
        Ok(Layer { usage, describes_root, implied })
    }

    /// The layer's root.
    pub fn root(&self) -> Rc<Directory> {
        Rc::clone(&self.root)
    }

    /// Splits a member's path into components: drops `.` and empty ones; `..` removes one, but never past the root.
    ///
    /// # Errors
    /// [`Error::Member`] for a path that leads out or a name that no file system accepts, [`Error::Limit`].
    pub fn components<'p>(&self, path: &'p [u8]) -> Result<Vec<&'p [u8]>, Error> {
        let refused = |why: &str| Error::Member { path: shown(path), why: why.to_owned() };
        let mut components = Vec::new();
        for component in path.split(|&b| b == b'/') {
            match component {
                b"" | b"." => {}
                b".." => drop(components.pop().ok_or_else(|| refused("leads out of the layer"))?),
                name if name.len() > 255 => return Err(refused("a name is longer than 255 bytes")),
                name if name.contains(&0) => return Err(refused("a name contains a zero byte")),
                name => components.push(name),
            }
        }
        if components.len() > self.bounds.depth() {
            return Err(Error::Limit { what: "path components", limit: self.bounds.depth() as u64 });
        }
        Ok(components)
    }

    /// The directory at this path of the archive, if it is still open.
    pub fn known(&self, path: &[u8]) -> Option<Rc<Directory>> {
        self.open.get(path).map(Rc::clone)
    }

    /// Keeps a directory open under this path of the archive.
    pub fn keep_open(&mut self, path: Vec<u8>, directory: &Rc<Directory>) {
        if self.open.len() >= MAX_OPEN {
            self.open.clear();
        }
        self.open.insert(path, Rc::clone(directory));
    }

    /// Creates a directory that no member has described (yet).
    ///
    /// # Errors
    /// See [`Tree::make`].
    pub fn make_undescribed(&mut self, at: &Directory, name: &[u8], origin: Origin) -> Result<Directory, Errno> {
        let made = Directory { handle: self.make(&at.handle, name)?, path: at.path_of(name) };
        self.directories.remember(made.path.clone(), origin);
        Ok(made)
    }

    /// Creates a directory of mode 0755.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn make(&mut self, at: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
        rustix::fs::mkdirat(at, name, Mode::from_raw_mode(0o755))?;
        self.bounds.count_directory();
        let fd = beneath::open(at, name)?;
        // The umask of the process may have cleared some bits.
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o755))?;
        Ok(fd)
    }

    /// Removes any entry of this name, with everything below it.
    ///
    /// # Errors
    /// The kernel's error; a missing name is not an error.
    pub fn remove(&mut self, at: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
        let Some(found) = beneath::status(at, name)? else { return Ok(()) };
        self.open.clear();
        let directory = beneath::is_directory(&found);
        if directory {
            let below = beneath::open(at, name)?;
            for entry in rustix::fs::Dir::read_from(&below)? {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if name != b"." && name != b".." {
                    self.remove(&below, name)?;
                }
            }
        }
        rustix::fs::unlinkat(at, name, if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() })?;
        if directory || found.st_nlink == 1 {
            self.bounds.uncount(&found);
        }
        Ok(())
    }
}
