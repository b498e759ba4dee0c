// SPDX-License-Identifier: Apache-2.0
//! One more descriptor for what is open already.

use crate::failure::{self, Result};
use crate::sys;
use rustix::fs::OFlags;
use std::os::fd::{AsFd, OwnedFd};

/// The first number that is not of stdio.
const ABOVE_STDIO: i32 = 3;

/// A copy of `fd`, close-on-exec; `object` is what it stands for.
///
/// # Errors
/// `EMFILE` when there is no number left.
pub fn duplicate(fd: impl AsFd, object: &str) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, ABOVE_STDIO).map_err(|e| failure::kernel("dup", object, e))
}

/// Opens what a handle (`O_PATH`, or a detached mount) refers to: for an empty path the kernel gives a handle again.
///
/// # Errors
/// What the kernel answered, with `object`.
pub fn reopen(handle: impl AsFd, flags: OFlags, object: &str) -> Result<OwnedFd> {
    sys::reopen(handle.as_fd(), flags).map_err(|e| failure::kernel("open", object, e))
}
