// SPDX-License-Identifier: Apache-2.0
//! Session keyrings: a container must not see the keys of the node, of its daemon or of other containers.
//!
//! Namespaces do not separate keyrings: a process inherits its parent's session keyring and may read what is in it. So
//! each shim joins a new one, and each program of its container joins another. A program keeps the shim's keyring when
//! the kernel refuses a new one, because the container itself can use up its user's key quota.

use crate::failure::{self, Result};
use crate::sys;
use std::io;

/// Gives this process a new, empty session keyring.
///
/// # Errors
/// `EDQUOT` when root's key quota (`kernel.keys.root_maxkeys`, `root_maxbytes`) is used up.
pub fn join_new() -> Result<()> {
    match sys::join_session_keyring(None) {
        Err(e) if !nobody_has_keys(&e) => Err(failure::kernel("join", "a new session keyring", e)),
        _ => Ok(()),
    }
}

/// Does the same for a program of the container, which keeps the shim's keyring when its user's quota is used up.
///
/// # Errors
/// The kernel's error. A kernel without keyrings, and a quota that is used up, are not errors.
pub fn join_new_or_keep() -> Result<()> {
    match sys::join_session_keyring(None) {
        Err(e) if !nobody_has_keys(&e) && e.raw_os_error() != Some(libc::EDQUOT) => {
            Err(failure::kernel("join", "a new session keyring", e))
        }
        _ => Ok(()),
    }
}

/// Whether the kernel is built without keys, or a seccomp filter around the whole node forbids them, for containers
/// too.
fn nobody_has_keys(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}
