// SPDX-License-Identifier: Apache-2.0
//! The file of a pod's network namespace.

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use std::io;
use std::path::Path;

/// The magic number of nsfs, the file system of namespaces.
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// Whether a namespace is there. A plain file of that name would make plugins fail, where none at all does not.
pub fn is_there(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|found| found.f_type == NSFS_MAGIC)
}

/// Removes the file; copies of its mount in other mount namespaces go with it. It can be repeated.
///
/// # Errors
/// The kernel's.
pub fn remove(path: &Path) -> io::Result<()> {
    loop {
        match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOENT) => break,
            Err(errno) => return Err(errno.into()),
        }
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
