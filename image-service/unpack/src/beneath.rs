// SPDX-License-Identifier: Apache-2.0
//! Looking at names below an open directory without leaving it: no link is followed, no mount point crossed.

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// Opens a directory below `at` without following any link.
///
/// - Shapes: `path` is relative and may have several components.
///
/// # Errors
/// `NOENT` when there is nothing of that name, `LOOP` or `NOTDIR` for a link or anything else on the way, `XDEV` for a
/// path that leads out.
pub fn open(at: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve =
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(at, path, flags, Mode::empty(), resolve)
}

/// What a name is, links not followed; `None` when it is free.
///
/// # Errors
/// As `fstatat` fails.
pub fn status(at: &OwnedFd, name: &[u8]) -> Result<Option<Stat>, Errno> {
    match rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Whether it is a directory.
pub fn is_directory(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Directory
}

/// Whether it is a symbolic link.
pub fn is_link(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Symlink
}

/// Whether it is overlayfs' mark for "deleted in this layer": a character device 0:0.
pub fn is_whiteout(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice && found.st_rdev == 0
}
