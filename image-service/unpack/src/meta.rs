// SPDX-License-Identifier: Apache-2.0
//! Sets owner, mode, extended attributes and times of a placed member.
//!
//! The order matters: chown clears setuid and file capabilities, so mode and attributes come after it, and times last.

use crate::attributes::{attributes, tolerate};
use crate::limits::MAX_ATTRIBUTE;
use crate::member::{Member, Time};
use crate::refusal::Refusal;
use gorae_kernel::attributes::is_kept;
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

type Result<T> = std::result::Result<T, Refusal>;

/// Access and modification times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Time of the last access.
    pub access: Time,
    /// Time of the last change of the content.
    pub modification: Time,
}

impl Times {
    /// The times of a member.
    pub fn of(member: &Member) -> Self {
        Self { access: member.atime, modification: member.mtime }
    }

    /// The times of a file.
    pub fn at(file: &rustix::fs::Stat) -> Self {
        let time = |seconds, nanos| Time { seconds, nanos: nanos as i64 };
        Self { access: time(file.st_atime, file.st_atime_nsec), modification: time(file.st_mtime, file.st_mtime_nsec) }
    }
}

/// Applies all metadata to an open file or directory.
///
/// # Errors
/// [`Refusal`], for the first operation that the kernel refuses.
pub fn apply(file: impl AsFd, member: &Member) -> Result<()> {
    let file = file.as_fd();
    rustix::fs::fchown(file, Some(owner(member).0), Some(owner(member).1))?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(member.mode))?;
    for (name, value) in member.xattrs.iter().filter(|(name, _)| is_kept(name)) {
        let set = rustix::fs::fsetxattr(file, name.as_slice(), value, XattrFlags::empty());
        tolerate(file, name, value, set)?;
    }
    Ok(rustix::fs::futimens(file, &times(Times::of(member)))?)
}

/// Copies owner, mode and attributes from one directory to another, and returns the times, which the caller must set.
///
/// # Errors
/// [`Refusal`], for the first operation that the kernel refuses.
pub fn copy(from: impl AsFd, to: impl AsFd) -> Result<Times> {
    let (from, to) = (from.as_fd(), to.as_fd());
    let found = rustix::fs::fstat(from)?;
    rustix::fs::fchown(to, Some(Uid::from_raw(found.st_uid)), Some(Gid::from_raw(found.st_gid)))?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(found.st_mode & 0o7777))?;
    for name in attributes(from)? {
        let mut value = vec![0; MAX_ATTRIBUTE];
        let length = rustix::fs::fgetxattr(from, name.as_slice(), &mut value[..])?;
        rustix::fs::fsetxattr(to, name.as_slice(), &value[..length], XattrFlags::empty())?;
    }
    Ok(Times::at(&found))
}

/// Whether two directories have the same owner, mode and attributes.
///
/// # Errors
/// The kernel's error.
pub fn is_same(one: impl AsFd, other: impl AsFd) -> Result<bool> {
    let look = |file: BorrowedFd<'_>| -> Result<_> {
        let found = rustix::fs::fstat(file)?;
        Ok(((found.st_uid, found.st_gid, found.st_mode), attributes(file)?))
    };
    let (one, other) = (one.as_fd(), other.as_fd());
    let ((mode, names), other_look) = (look(one)?, look(other)?);
    if (mode, &names) != (other_look.0, &other_look.1) {
        return Ok(false);
    }
    for name in names {
        let (mut a, mut b) = (vec![0; MAX_ATTRIBUTE], vec![0; MAX_ATTRIBUTE]);
        let a_length = rustix::fs::fgetxattr(one, name.as_slice(), &mut a[..])?;
        let b_length = rustix::fs::fgetxattr(other, name.as_slice(), &mut b[..])?;
        if a[..a_length] != b[..b_length] {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Applies all metadata to a symlink. `name` is a single component of `directory` that we just created.
///
/// # Errors
/// [`Refusal`], for the first operation that the kernel refuses.
pub fn apply_to_symlink(directory: BorrowedFd<'_>, name: &[u8], member: &Member) -> Result<()> {
    set_owner_at(directory, name, member)?;
    set_attributes_and_times_at(directory, name, member)
}

/// Applies all metadata to a device or a FIFO, which cannot be opened for it. `name` is as for [`apply_to_symlink`].
///
/// # Errors
/// [`Refusal`], for the first operation that the kernel refuses.
pub fn apply_to_node(directory: BorrowedFd<'_>, name: &[u8], member: &Member) -> Result<()> {
    set_owner_at(directory, name, member)?;
    rustix::fs::chmodat(directory, name, Mode::from_raw_mode(member.mode), AtFlags::empty())?;
    set_attributes_and_times_at(directory, name, member)
}

fn set_owner_at(directory: BorrowedFd<'_>, name: &[u8], member: &Member) -> rustix::io::Result<()> {
    let (uid, gid) = owner(member);
    rustix::fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

fn set_attributes_and_times_at(directory: BorrowedFd<'_>, name: &[u8], member: &Member) -> Result<()> {
    if member.xattrs.iter().any(|(name, _)| is_kept(name)) {
        // Linux before 6.13 has no setxattrat, so go through the directory's handle.
        let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
        path.extend_from_slice(name);
        for (key, value) in member.xattrs.iter().filter(|(key, _)| is_kept(key)) {
            let set = rustix::fs::lsetxattr(path.as_slice(), key.as_slice(), value, XattrFlags::empty());
            tolerate(directory, key, value, set)?;
        }
    }
    Ok(rustix::fs::utimensat(directory, name, &times(Times::of(member)), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Sets the modification and access times of an open directory.
///
/// # Errors
/// The kernel's error.
pub fn set_times(directory: impl AsFd, set: Times) -> rustix::io::Result<()> {
    rustix::fs::futimens(directory, &times(set))
}

fn owner(member: &Member) -> (Uid, Gid) {
    // `archive.rs` rejects 2^32-1, the only value that is not a valid id.
    (Uid::from_raw(member.uid), Gid::from_raw(member.gid))
}

fn times(set: Times) -> Timestamps {
    let time = |time: Time| Timespec { tv_sec: time.seconds, tv_nsec: time.nanos };
    Timestamps { last_access: time(set.access), last_modification: time(set.modification) }
}
