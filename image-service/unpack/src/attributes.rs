// SPDX-License-Identifier: Apache-2.0
//! Extended attributes: what a file system may refuse, and overlayfs' opaque mark.

use crate::limits::MAX_ATTRIBUTE;
use crate::refusal::Refusal;
use gorae_kernel::attributes::is_kept;
use rustix::fs::XattrFlags;
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd};

/// A file system with this many free bytes that reports "no space" for an attribute means the attribute's size.
const ROOM: u64 = 1 << 20;

/// What tells overlayfs that a directory hides the one below it.
pub const OPAQUE: &str = "trusted.overlay.opaque";

type Result<T> = std::result::Result<T, Refusal>;

/// On a file system without `user.` attributes or ACLs no behaviour is lost that a container could rely on; capabilities
/// are different. A file system that reports "no space" for an attribute while it has plenty means the attribute's size.
///
/// # Errors
/// [`Refusal::TooLarge`] for an attribute that does not fit, else what the kernel answered.
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

/// The names of a directory's attributes that an image may bring, sorted.
///
/// # Errors
/// What the kernel answers.
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

/// Whether a directory hides what lower layers have under its name.
///
/// # Errors
/// What the kernel answers, except that there is no such attribute.
pub fn is_opaque(directory: impl AsFd) -> Result<bool> {
    let mut value = [0; 8];
    match rustix::fs::fgetxattr(directory, OPAQUE, &mut value[..]) {
        Ok(length) => Ok(value[..length] == *b"y"),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Makes a directory hide what lower layers have under its name.
///
/// # Errors
/// What the kernel answers; root is needed.
pub fn set_opaque(directory: impl AsFd) -> rustix::io::Result<()> {
    rustix::fs::fsetxattr(directory, OPAQUE, b"y", XattrFlags::empty())
}
