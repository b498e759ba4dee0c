// SPDX-License-Identifier: Apache-2.0
//! The layer directory while it is filled: finds and makes parent directories by handle, counts, and keeps the bounds.
//!
//! Two rules make escape impossible. A name given to the kernel is always one component, never `..`, opened without
//! following links below a handle of ours. And a link that lies on the way to a member is followed by this program,
//! component by component, with `..` stopping at the layer's root, as it would be inside the container.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::archive::Time;
use super::{Error, meta};
use crate::config::Limits;

/// Most links followed on the way to one member, the kernel's own number.
const MAX_LINKS: usize = 40;
/// Parent directories kept open: archives are ordered by directory, so few are enough.
const MAX_OPEN: usize = 32;
/// Most bytes of directory names remembered for their times; a large distribution has some six million.
const MAX_REMEMBERED: usize = 64 << 20;
const BLOCK: u64 = 4096;

/// What a layer takes on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    /// Bytes, file sizes rounded up to blocks of 4096.
    pub bytes: u64,
    /// Files, directories, links and devices.
    pub inodes: u64,
}

/// A layer directory being filled.
#[derive(Debug)]
pub struct Tree {
    root: Rc<OwnedFd>,
    limits: Limits,
    usage: Usage,
    /// Logical bytes of all files, holes included.
    logical: u64,
    entries: u64,
    /// Open parents by path; emptied when a name is replaced, since it may be part of such a path.
    open: HashMap<Vec<u8>, Rc<OwnedFd>>,
    /// Directory times, set last because members that are added later would move them.
    times: HashMap<Vec<u8>, Time>,
    /// Bytes in the keys of `times`.
    remembered: usize,
}

impl Tree {
    /// Takes over an open, empty directory.
    ///
    /// - Errors: [`Error::Directory`] when its mode cannot be set (0755 unless the archive says otherwise).
    pub fn new(root: OwnedFd, limits: Limits) -> Result<Self, Error> {
        let directory = |source: Errno| Error::Directory { what: "set the mode of", source: source.into() };
        rustix::fs::fchmod(&root, Mode::from_raw_mode(0o755)).map_err(directory)?;
        let usage = Usage { bytes: BLOCK, inodes: 1 };
        let (open, times) = (HashMap::new(), HashMap::new());
        Ok(Self { root: Rc::new(root), limits, usage, logical: 0, entries: 0, open, times, remembered: 0 })
    }

    /// Sets the directories' times and returns the sums.
    ///
    /// - Errors: [`Error::Directory`] when a time cannot be set.
    pub fn finish(self) -> Result<Usage, Error> {
        for (path, time) in &self.times {
            let directory = if path.is_empty() { Ok(None) } else { open_beneath(&self.root, path).map(Some) };
            // A directory that a later member replaced has no time to set.
            let Ok(directory) = directory else { continue };
            let handle = directory.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
            let set = meta::set_times(handle, *time);
            set.map_err(|source| Error::Directory { what: "set a time in", source: source.into() })?;
        }
        Ok(self.usage)
    }

    pub(super) fn root(&self) -> Rc<OwnedFd> {
        Rc::clone(&self.root)
    }

    /// Splits a member's path into components: `.` and empty ones fall away, `..` takes one away, never past the root.
    pub(super) fn components<'p>(&self, path: &'p [u8]) -> Result<Vec<&'p [u8]>, Error> {
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
        if components.len() > self.limits.depth {
            return Err(Error::Limit { what: "path components", limit: self.limits.depth as u64 });
        }
        Ok(components)
    }

    /// Counts one member against the bounds.
    pub(super) fn count_member(&mut self) -> Result<(), Error> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Error::Limit { what: "members", limit: self.limits.entries });
        }
        Ok(())
    }

    /// Counts the logical length of a file before it is written.
    pub(super) fn count_length(&mut self, length: u64) -> Result<(), Error> {
        self.logical = self.logical.saturating_add(length);
        if self.logical > self.limits.bytes {
            return Err(Error::Limit { what: "bytes in files", limit: self.limits.bytes });
        }
        Ok(())
    }

    pub(super) fn count_inode(&mut self, bytes: u64) {
        self.usage.inodes += 1;
        self.usage.bytes += bytes.next_multiple_of(BLOCK);
    }

    /// Counts a file by the blocks that its pieces touch: the holes of a sparse one take nothing.
    pub(super) fn count_file(&mut self, pieces: &[(u64, u64)]) {
        let mut end = 0;
        let touched = pieces.iter().map(|&(offset, len)| {
            let first = (offset / BLOCK).max(end);
            end = (offset + len).div_ceil(BLOCK);
            end - first
        });
        self.usage.inodes += 1;
        self.usage.bytes += touched.sum::<u64>() * BLOCK;
    }

    pub(super) fn remember_times(&mut self, path: &[&[u8]], time: Time) -> Result<(), Error> {
        let path = path.join(&b'/');
        let more = path.len() + size_of::<(Vec<u8>, Time)>();
        if self.times.insert(path, time).is_none() {
            self.remembered += more;
        }
        if self.remembered > MAX_REMEMBERED {
            return Err(Error::Limit { what: "bytes in names of directories", limit: MAX_REMEMBERED as u64 });
        }
        Ok(())
    }

    /// Opens the directory at `path`, making what is missing with mode 0755 (the archive may describe it later).
    pub(super) fn parent(&mut self, path: &[&[u8]]) -> Result<Rc<OwnedFd>, Errno> {
        self.directory(path, true)
    }

    /// Opens the directory at `path`, which must be there.
    pub(super) fn existing(&mut self, path: &[&[u8]]) -> Result<Rc<OwnedFd>, Errno> {
        self.directory(path, false)
    }

    fn directory(&mut self, path: &[&[u8]], make: bool) -> Result<Rc<OwnedFd>, Errno> {
        if path.is_empty() {
            return Ok(self.root());
        }
        let key = path.join(&b'/');
        if let Some(known) = self.open.get(&key) {
            return Ok(Rc::clone(known));
        }
        let found = match open_beneath(&self.root, &key) {
            Ok(fd) => Rc::new(fd),
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => self.walk(path, make)?,
            Err(other) => return Err(other),
        };
        if self.open.len() >= MAX_OPEN {
            self.open.clear();
        }
        self.open.insert(key, Rc::clone(&found));
        Ok(found)
    }

    /// Goes down component by component, following links as a process inside the layer would.
    fn walk(&mut self, path: &[&[u8]], make: bool) -> Result<Rc<OwnedFd>, Errno> {
        let mut stack = vec![self.root()];
        let mut pending: VecDeque<Vec<u8>> = path.iter().map(|c| c.to_vec()).collect();
        let mut links = 0;
        while let Some(component) = pending.pop_front() {
            match component.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    stack.truncate((stack.len() - 1).max(1));
                    continue;
                }
                _ => {}
            }
            let at = Rc::clone(stack.last().expect("the root is never popped"));
            match open_beneath(&at, &component) {
                Ok(fd) => stack.push(Rc::new(fd)),
                Err(Errno::NOENT) if make => stack.push(Rc::new(self.make(&at, &component)?)),
                Err(Errno::LOOP | Errno::NOTDIR) => match status(&at, &component)? {
                    Some(found) if is_link(&found) => {
                        links += 1;
                        let target = rustix::fs::readlinkat(&*at, component.as_slice(), Vec::new())?.into_bytes();
                        if links > MAX_LINKS || pending.len() > 4096 {
                            return Err(Errno::LOOP);
                        }
                        if target.starts_with(b"/") {
                            stack.truncate(1);
                        }
                        for part in target.split(|&b| b == b'/').rev() {
                            pending.push_front(part.to_vec());
                        }
                    }
                    Some(found) if make && is_whiteout(&found) => {
                        // Deleted below and made anew here: what was below stays hidden.
                        self.remove(&at, &component)?;
                        let fd = self.make(&at, &component)?;
                        meta::set_opaque(&fd)?;
                        stack.push(Rc::new(fd));
                    }
                    _ => return Err(Errno::NOTDIR),
                },
                Err(other) => return Err(other),
            }
            if stack.len() > self.limits.depth + 1 {
                return Err(Errno::NAMETOOLONG);
            }
        }
        Ok(stack.pop().expect("the root is never popped"))
    }

    /// Makes a directory that no member has described (yet).
    pub(super) fn make(&mut self, at: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
        rustix::fs::mkdirat(at, name, Mode::from_raw_mode(0o755))?;
        self.count_inode(BLOCK);
        let fd = open_beneath(at, name)?;
        // The process' umask may have taken bits away.
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o755))?;
        Ok(fd)
    }

    /// Removes whatever has this name, with everything below it.
    pub(super) fn remove(&mut self, at: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
        let Some(found) = status(at, name)? else { return Ok(()) };
        self.open.clear();
        let directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
        if directory {
            let below = open_beneath(at, name)?;
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
            self.usage.inodes -= 1;
            self.usage.bytes = self.usage.bytes.saturating_sub(taken(&found));
        }
        Ok(())
    }
}

/// Opens a directory below `at` without following any link.
pub(super) fn open_beneath(at: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve =
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(at, path, flags, Mode::empty(), resolve)
}

/// What a name is, links not followed; `None` when it is free.
pub(super) fn status(at: &OwnedFd, name: &[u8]) -> Result<Option<Stat>, Errno> {
    match rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(other) => Err(other),
    }
}

pub(super) fn is_directory(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Directory
}

fn is_link(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Symlink
}

/// What was counted for something that is there: as many blocks as a file has bytes for, but none for its holes.
fn taken(found: &Stat) -> u64 {
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => BLOCK,
        FileType::RegularFile => {
            let on_disk = found.st_blocks.unsigned_abs().saturating_mul(512);
            found.st_size.unsigned_abs().next_multiple_of(BLOCK).min(on_disk)
        }
        _ => 0,
    }
}

/// Overlayfs' mark for "deleted in this layer": a character device 0:0.
pub(super) fn is_whiteout(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice && found.st_rdev == 0
}

/// A path for an error text: readable and bounded.
pub(super) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).chars().take(200).collect()
}
