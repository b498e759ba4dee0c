// SPDX-License-Identifier: Apache-2.0
//! Descriptors by their numbers: closes, places and reopens them.

use super::answer::check;
use super::single::InChild;
use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

/// Closes every descriptor from `first` up. The child must not use or drop any of them afterwards.
///
/// # Errors
/// The kernel's error.
pub fn close_from(_child: InChild, first: u32) -> io::Result<()> {
    // SAFETY: plain integers. The owners of what is closed are in the parent (`_child`).
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0u32) }).map(drop)
}

/// Opens what a handle (`O_PATH`) refers to, without a path that could have been replaced. Needs /proc.
///
/// # Errors
/// The kernel's error.
pub fn reopen(handle: BorrowedFd<'_>, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(format!("/proc/self/fd/{}", handle.as_raw_fd()), flags | OFlags::CLOEXEC, Mode::empty())
}

/// Moves descriptors to `number` and the numbers after it (close-on-exec) and closes everything above them.
///
/// - Shapes: each of them is above the numbers that are to be filled.
///
/// # Errors
/// The kernel's error.
pub fn place_and_close_rest(child: InChild, fds: Vec<OwnedFd>, number: i32) -> io::Result<Vec<OwnedFd>> {
    let mut placed = Vec::with_capacity(fds.len());
    for (fd, number) in fds.into_iter().zip(number..) {
        // SAFETY: plain integers; `fd` was released. The owner of what was at `number` is in the parent (`child`).
        check(libc::c_long::from(unsafe { libc::dup3(fd.into_raw_fd(), number, libc::O_CLOEXEC) }))?;
        // SAFETY: dup3 has just opened `number`, which has no other user.
        placed.push(unsafe { OwnedFd::from_raw_fd(number) });
    }
    close_from(child, number as u32 + placed.len() as u32)?;
    Ok(placed)
}
