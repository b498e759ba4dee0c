// SPDX-License-Identifier: Apache-2.0
//! Owner, mode, extended attributes and times of a placed member.
//!
//! The order matters: chown clears setuid and file capabilities, so mode and attributes come after it, and times last.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::{Errno, Result};

use super::archive::{Member, Time};

/// What tells overlayfs that a directory hides the one below it.
pub const OPAQUE: &str = "trusted.overlay.opaque";

/// Applies all of it to an open file or directory.
pub fn apply(file: impl AsFd, member: &Member) -> Result<()> {
    let file = file.as_fd();
    rustix::fs::fchown(file, Some(owner(member).0), Some(owner(member).1))?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(member.mode))?;
    for (name, value) in member.xattrs.iter().filter(|(name, _)| is_wanted(name)) {
        tolerate(name, rustix::fs::fsetxattr(file, name.as_slice(), value, XattrFlags::empty()))?;
    }
    rustix::fs::futimens(file, &times(member.atime, member.mtime))
}

/// Applies all of it to a name in a directory, for what cannot be opened (links, devices, FIFOs).
///
/// `name` is a single component that was just made by us; a mode is set on anything but a symlink.
pub fn apply_at(directory: BorrowedFd<'_>, name: &[u8], member: &Member, is_symlink: bool) -> Result<()> {
    let (uid, gid) = owner(member);
    rustix::fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if !is_symlink {
        rustix::fs::chmodat(directory, name, Mode::from_raw_mode(member.mode), AtFlags::empty())?;
    }
    if member.xattrs.iter().any(|(name, _)| is_wanted(name)) {
        // There is no setxattrat before Linux 6.13: go through the directory's handle.
        let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
        path.extend_from_slice(name);
        for (key, value) in member.xattrs.iter().filter(|(key, _)| is_wanted(key)) {
            tolerate(key, rustix::fs::lsetxattr(path.as_slice(), key.as_slice(), value, XattrFlags::empty()))?;
        }
    }
    rustix::fs::utimensat(directory, name, &times(member.atime, member.mtime), AtFlags::SYMLINK_NOFOLLOW)
}

/// Makes a directory hide what lower layers have under its name.
pub fn set_opaque(directory: impl AsFd) -> Result<()> {
    rustix::fs::fsetxattr(directory, OPAQUE, b"y", XattrFlags::empty())
}

/// Sets modification and access time of an open directory.
pub fn set_times(directory: impl AsFd, mtime: Time) -> Result<()> {
    rustix::fs::futimens(directory, &times(mtime, mtime))
}

/// Which attributes an image may bring. Those of overlayfs itself would let a layer redirect names into other layers;
/// security labels are the node's business.
fn is_wanted(name: &[u8]) -> bool {
    match name {
        b"security.capability" | b"system.posix_acl_access" | b"system.posix_acl_default" => true,
        _ => name.starts_with(b"user.") && !name.starts_with(b"user.overlay."),
    }
}

/// A file system without `user.` attributes or ACLs loses no behaviour that a container could count on; capabilities are
/// another matter.
fn tolerate(name: &[u8], result: Result<()>) -> Result<()> {
    match result {
        Err(Errno::OPNOTSUPP | Errno::PERM) if name != b"security.capability" => Ok(()),
        other => other,
    }
}

fn owner(member: &Member) -> (Uid, Gid) {
    // `archive` has refused 2^32-1, the only value that is no id.
    (Uid::from_raw(member.uid), Gid::from_raw(member.gid))
}

fn times(access: Time, modification: Time) -> Timestamps {
    let time = |time: Time| Timespec { tv_sec: time.seconds, tv_nsec: time.nanos };
    Timestamps { last_access: time(access), last_modification: time(modification) }
}
