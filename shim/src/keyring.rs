// SPDX-License-Identifier: Apache-2.0
//! Session keyrings: the keys of the node, of its daemon and of other containers are none of a container's.
//!
//! Namespaces do not divide them: a process has the session keyring of whoever forked it, and may read what is in
//! there. So each shim takes a new one, and each program of its container again. The shim's own is what a program is
//! left with when the kernel gives it none: its user's allowance for keys can be used up by the container itself.

use crate::failure::{self, Result};
use crate::sys;
use std::io;

/// Gives this process a new, empty session keyring.
///
/// # Errors
/// `EDQUOT` when root's allowance for keys (`kernel.keys.root_maxkeys`, `root_maxbytes`) is used up.
pub fn join_new() -> Result<()> {
    match sys::join_session_keyring(None) {
        Err(e) if !nobody_has_keys(&e) => Err(failure::kernel("join", "a new session keyring", e)),
        _ => Ok(()),
    }
}

/// The same for a program of the container, which goes on with the shim's when its user may have no key more.
pub fn join_new_or_keep() -> Result<()> {
    match sys::join_session_keyring(None) {
        Err(e) if !nobody_has_keys(&e) && e.raw_os_error() != Some(libc::EDQUOT) => {
            Err(failure::kernel("join", "a new session keyring", e))
        }
        _ => Ok(()),
    }
}

/// The kernel is made without keys, or a filter around the whole node forbids them: to its containers as well.
fn nobody_has_keys(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}
