// SPDX-License-Identifier: Apache-2.0
//! New namespaces for this process.

use rustix::thread::{ThreadNameSpaceType, UnshareFlags};

/// Moves this thread, or with a user namespace this process, into new namespaces of the kinds given.
///
/// # Errors
/// What the kernel answered; `EINVAL` for a user namespace in a process with threads.
pub fn unshare(kinds: ThreadNameSpaceType) -> rustix::io::Result<()> {
    let others = UnshareFlags::FILES | UnshareFlags::FS | UnshareFlags::SYSVSEM;
    let flags = UnshareFlags::from_bits_retain(kinds.bits()).difference(others);
    // SAFETY: what is left names namespaces only. The flag that gives a thread descriptors of its own is not among them,
    // so every descriptor stays what its owner holds it for.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}
