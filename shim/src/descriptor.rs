// SPDX-License-Identifier: Apache-2.0
//! Further descriptors for open files.

use crate::failure::{self, Result};
use crate::sys;
use rustix::fs::OFlags;
use std::os::fd::{AsFd, OwnedFd};

/// The first descriptor number after stdio.
const ABOVE_STDIO: i32 = 3;

/// Duplicates `fd`, close-on-exec; `object` names it in errors.
///
/// # Errors
/// `EMFILE` when no descriptor number is free.
pub fn duplicate(fd: impl AsFd, object: &str) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, ABOVE_STDIO).map_err(|e| failure::kernel("dup", object, e))
}

/// Opens the file that a handle (`O_PATH`, or a detached mount) refers to: for an empty path the kernel returns a
/// handle again.
///
/// # Errors
/// The kernel's error, with `object`.
pub fn reopen(handle: impl AsFd, flags: OFlags, object: &str) -> Result<OwnedFd> {
    sys::reopen(handle.as_fd(), flags).map_err(|e| failure::kernel("open", object, e))
}
