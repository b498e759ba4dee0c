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

use super::meta::Times;
use super::space::Space;
use super::{Error, Layer, meta};
use crate::limits::Limits;

/// Most links followed on the way to one member, the kernel's own number.
const MAX_LINKS: usize = 40;
/// Parent directories kept open: archives are ordered by directory, so few are enough.
const MAX_OPEN: usize = 32;
/// Most bytes of directory names remembered, for their times or because no member describes them; a large
/// distribution has some six million.
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
    root: Rc<Directory>,
    limits: Limits,
    usage: Usage,
    /// Logical bytes of all files, holes included.
    logical: u64,
    entries: u64,
    space: Space,
    /// Open parents by the path of an archive; emptied when a name is replaced, since it may be part of such a path.
    open: HashMap<Vec<u8>, Rc<Directory>>,
    /// The directories by path. What was replaced since may still be in it.
    directories: HashMap<Vec<u8>, Origin>,
    /// Bytes in the keys of `directories`.
    remembered: usize,
}

/// What the archive says of a directory.
#[derive(Debug, Clone, Copy)]
enum Origin {
    /// A member describes it. Its times are set last because members that are added later would move them.
    Described(Times),
    /// Nothing (yet): what it is is for lower layers to say.
    Implied,
    /// The same, but one of its name is deleted first: lower layers have nothing to say.
    Anew,
}

/// An open directory of the layer.
#[derive(Debug)]
pub struct Directory {
    /// The directory itself.
    pub handle: OwnedFd,
    /// Where it is, no link on the way; empty for the root.
    pub path: Vec<u8>,
}

impl Directory {
    /// The path of a name in it.
    pub fn path_of(&self, name: &[u8]) -> Vec<u8> {
        if self.path.is_empty() { name.to_vec() } else { [&self.path, &b"/"[..], name].concat() }
    }
}

impl Tree {
    /// Takes over an open, empty directory.
    ///
    /// - Errors: [`Error::Directory`] when its mode cannot be set (0755 unless the archive says otherwise).
    pub fn new(root: OwnedFd, limits: Limits) -> Result<Self, Error> {
        let directory = |source: Errno| Error::Directory { what: "set the mode of", source: source.into() };
        rustix::fs::fchmod(&root, Mode::from_raw_mode(0o755)).map_err(directory)?;
        Ok(Self {
            root: Rc::new(Directory { handle: root, path: Vec::new() }),
            limits,
            usage: Usage { bytes: BLOCK, inodes: 1 },
            logical: 0,
            entries: 0,
            space: Space::new(limits.reserve),
            open: HashMap::new(),
            directories: HashMap::new(),
            remembered: 0,
        })
    }

    /// Sets the directories' times and returns what the layer came to.
    ///
    /// - Errors: [`Error::Directory`] when a time cannot be set.
    pub fn finish(self) -> Result<Layer, Error> {
        let describes_root = self.directories.contains_key(&b""[..]);
        let mut implied = Vec::new();
        for (path, origin) in self.directories {
            let times = match origin {
                Origin::Described(times) => times,
                Origin::Anew => continue,
                Origin::Implied => {
                    implied.push(path);
                    continue;
                }
            };
            let directory = if path.is_empty() { Ok(None) } else { open_beneath(&self.root.handle, &path).map(Some) };
            // A directory that a later member replaced has no time to set.
            let Ok(directory) = directory else { continue };
            let handle = directory.as_ref().map_or(self.root.handle.as_fd(), AsFd::as_fd);
            let set = meta::set_times(handle, times);
            set.map_err(|source| Error::Directory { what: "set a time in", source: source.into() })?;
        }
        implied.sort_unstable();
        Ok(Layer { usage: self.usage, describes_root, implied })
    }

    pub(super) fn root(&self) -> Rc<Directory> {
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

    /// Counts one member against the bounds, and sees that what came before it has left enough free.
    pub(super) fn count_member(&mut self) -> Result<(), Error> {
        self.space.check(&self.root.handle)?;
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Error::Limit { what: Limits::MEMBERS, limit: self.limits.entries });
        }
        Ok(())
    }

    /// Counts the logical length of a file before it is written.
    pub(super) fn count_length(&mut self, length: u64) -> Result<(), Error> {
        self.logical = self.logical.saturating_add(length);
        if self.logical > self.limits.bytes {
            return Err(Error::Limit { what: Limits::FILES, limit: self.limits.bytes });
        }
        Ok(())
    }

    /// Notes bytes that were written, and sees that enough is left free.
    pub(super) fn count_written(&mut self, bytes: u64) -> Result<(), Error> {
        self.space.spend(bytes, 0);
        self.space.check(&self.root.handle)
    }

    pub(super) fn count_inode(&mut self, bytes: u64) {
        self.space.spend(bytes.next_multiple_of(BLOCK), 1);
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
        self.space.spend(0, 1);
        self.usage.inodes += 1;
        self.usage.bytes += touched.sum::<u64>() * BLOCK;
    }

    /// Notes what a member says of the directory at `path`.
    pub(super) fn describe(&mut self, path: Vec<u8>, times: Times) -> Result<(), Error> {
        self.remember(path, Origin::Described(times));
        self.check_remembered()
    }

    /// Notes that a directory of lower layers is deleted and this one of the same name another.
    pub(super) fn note_anew(&mut self, path: &[u8]) {
        if let Some(origin @ Origin::Implied) = self.directories.get_mut(path) {
            *origin = Origin::Anew;
        }
    }

    fn remember(&mut self, path: Vec<u8>, origin: Origin) {
        let more = path.len() + size_of::<(Vec<u8>, Origin)>();
        if self.directories.insert(path, origin).is_none() {
            self.remembered += more;
        }
    }

    /// One member makes no more than its path has components: to look once for each is enough.
    pub(super) fn check_remembered(&self) -> Result<(), Error> {
        if self.remembered > MAX_REMEMBERED {
            return Err(Error::Limit { what: "bytes in names of directories", limit: MAX_REMEMBERED as u64 });
        }
        Ok(())
    }

    /// Opens the directory at `path`, making what is missing with mode 0755 (the archive may describe it later).
    pub(super) fn parent(&mut self, path: &[&[u8]]) -> Result<Rc<Directory>, Errno> {
        self.directory(path, true)
    }

    /// Opens the directory at `path`, which must be there.
    pub(super) fn existing(&mut self, path: &[&[u8]]) -> Result<Rc<Directory>, Errno> {
        self.directory(path, false)
    }

    fn directory(&mut self, path: &[&[u8]], make: bool) -> Result<Rc<Directory>, Errno> {
        if path.is_empty() {
            return Ok(self.root());
        }
        let key = path.join(&b'/');
        if let Some(known) = self.open.get(&key) {
            return Ok(Rc::clone(known));
        }
        let found = match open_beneath(&self.root.handle, &key) {
            Ok(handle) => Rc::new(Directory { handle, path: key.clone() }),
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
    fn walk(&mut self, path: &[&[u8]], make: bool) -> Result<Rc<Directory>, Errno> {
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
            match open_beneath(&at.handle, &component) {
                Ok(handle) => stack.push(Rc::new(Directory { handle, path: at.path_of(&component) })),
                Err(Errno::NOENT) if make => {
                    stack.push(Rc::new(self.make_undescribed(&at, &component, Origin::Implied)?))
                }
                Err(Errno::LOOP | Errno::NOTDIR) => match status(&at.handle, &component)? {
                    Some(found) if is_link(&found) => {
                        links += 1;
                        let target = rustix::fs::readlinkat(&at.handle, component.as_slice(), Vec::new())?.into_bytes();
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
                        self.remove(&at.handle, &component)?;
                        let made = self.make_undescribed(&at, &component, Origin::Anew)?;
                        meta::set_opaque(&made.handle)?;
                        stack.push(Rc::new(made));
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
    fn make_undescribed(&mut self, at: &Directory, name: &[u8], origin: Origin) -> Result<Directory, Errno> {
        let made = Directory { handle: self.make(&at.handle, name)?, path: at.path_of(name) };
        self.remember(made.path.clone(), origin);
        Ok(made)
    }

    /// Makes a directory.
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
pub fn open_beneath(at: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve =
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(at, path, flags, Mode::empty(), resolve)
}

/// What a name is, links not followed; `None` when it is free.
pub fn status(at: &OwnedFd, name: &[u8]) -> Result<Option<Stat>, Errno> {
    match rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Whether it is a directory.
pub(super) fn is_directory(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Directory
}

/// Whether it is a symbolic link.
pub fn is_link(found: &Stat) -> bool {
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
pub fn is_whiteout(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice && found.st_rdev == 0
}

/// A path for an error text: readable and bounded.
pub fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).chars().take(200).collect()
}
