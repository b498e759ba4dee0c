// SPDX-License-Identifier: Apache-2.0
//! Moves this process into new namespaces.

use rustix::thread::{ThreadNameSpaceType, UnshareFlags};

/// Moves this thread, or with a user namespace this process, into new namespaces of the kinds given.
///
/// # Errors
/// The kernel's error; `EINVAL` for a user namespace in a process with several threads.
pub fn unshare(kinds: ThreadNameSpaceType) -> rustix::io::Result<()> {
    let others = UnshareFlags::FILES | UnshareFlags::FS | UnshareFlags::SYSVSEM;
    let flags = UnshareFlags::from_bits_retain(kinds.bits()).difference(others);
    // SAFETY: the remaining flags only name namespaces. The one that gives a thread its own descriptor table is not among
    // them, so every descriptor keeps referring to what its owner expects.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}
