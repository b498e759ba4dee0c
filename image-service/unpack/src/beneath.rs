// SPDX-License-Identifier: Apache-2.0
//! Looks up names below an open directory without leaving it: follows no links and crosses no mount points.

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// Opens a directory below `at` without following links.
///
/// - Shapes: `path` is relative and may have several components.
///
/// # Errors
/// `NOENT` if nothing has that name, `LOOP` or `NOTDIR` if a component is a link or not a directory, `XDEV` if the path
/// leads out.
pub fn open(at: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve =
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(at, path, flags, Mode::empty(), resolve)
}

/// The status of a name, without following links; `None` if the name is free.
///
/// # Errors
/// The error of `fstatat`.
pub fn status(at: &OwnedFd, name: &[u8]) -> Result<Option<Stat>, Errno> {
    match rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Whether the status is that of a directory.
pub fn is_directory(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Directory
}

/// Whether the status is that of a symbolic link.
pub fn is_link(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Symlink
}

/// Whether it is the mark of overlayfs for "deleted in this layer": a character device 0:0.
pub fn is_whiteout(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice && found.st_rdev == 0
}
