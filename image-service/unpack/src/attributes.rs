// SPDX-License-Identifier: Apache-2.0
//! Extended attributes: failures that can be tolerated, and the opaque mark of overlayfs.

use crate::limits::MAX_ATTRIBUTE;
use crate::refusal::Refusal;
use gorae_kernel::attributes::is_kept;
use rustix::fs::XattrFlags;
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd};

/// Free bytes above which "no space" for an attribute means that the attribute itself is too large.
const ROOM: u64 = 1 << 20;

/// The attribute that makes a directory hide the one below it in overlayfs.
pub const OPAQUE: &str = "trusted.overlay.opaque";

type Result<T> = std::result::Result<T, Refusal>;

/// Ignores that a file system lacks `user.` attributes or ACLs, because no container can rely on them. File capabilities are
/// different. "No space" on a file system with plenty of it means that the attribute is too large.
///
/// # Errors
/// [`Refusal::TooLarge`] for an attribute that does not fit, otherwise the kernel's error.
pub fn tolerate(on: impl AsFd, name: &[u8], value: &[u8], result: rustix::io::Result<()>) -> Result<()> {
    match result {
        Err(Errno::OPNOTSUPP | Errno::PERM) if name != b"security.capability" => Ok(()),
        Err(Errno::TOOBIG) => Err(Refusal::TooLarge { name: name.to_vec(), length: value.len() }),
        Err(Errno::NOSPC) if has_room(on) => Err(Refusal::TooLarge { name: name.to_vec(), length: value.len() }),
        other => Ok(other?),
    }
}

fn has_room(on: impl AsFd) -> bool {
    rustix::fs::fstatvfs(on).is_ok_and(|found| found.f_bavail.saturating_mul(found.f_frsize) >= ROOM)
}

/// The names of a directory's attributes, sorted; only those that an image may set.
///
/// # Errors
/// The kernel's error.
pub fn attributes(file: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>> {
    let mut list = vec![0; 256];
    let length = loop {
        match rustix::fs::flistxattr(file, &mut list[..]) {
            Err(Errno::RANGE) if list.len() < MAX_ATTRIBUTE => list = vec![0; MAX_ATTRIBUTE],
            Err(Errno::OPNOTSUPP) => break 0,
            other => break other?,
        }
    };
    let mut names: Vec<Vec<u8>> =
        list[..length].split(|&b| b == 0).filter(|name| is_kept(name)).map(<[u8]>::to_vec).collect();
    names.sort();
    Ok(names)
}

/// Whether a directory hides the content of lower layers under its name.
///
/// # Errors
/// The kernel's error. A missing attribute is not an error.
pub fn is_opaque(directory: impl AsFd) -> Result<bool> {
    let mut value = [0; 8];
    match rustix::fs::fgetxattr(directory, OPAQUE, &mut value[..]) {
        Ok(length) => Ok(value[..length] == *b"y"),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Makes a directory hide the content of lower layers under its name.
///
/// # Errors
/// The kernel's error; this needs root.
pub fn set_opaque(directory: impl AsFd) -> rustix::io::Result<()> {
    rustix::fs::fsetxattr(directory, OPAQUE, b"y", XattrFlags::empty())
}
