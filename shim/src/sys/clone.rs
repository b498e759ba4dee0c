// SPDX-License-Identifier: Apache-2.0
//! Makes processes.

use super::answer::check;
use super::single::{InChild, Single};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Defined here because the libc crate's constant is truncated to 32 bits.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// The side of [`clone3`] that this is.
#[derive(Debug)]
pub enum Forked {
    /// The caller, with the child's pid in this PID namespace and a descriptor that always refers to that process.
    Parent {
        /// The child's pid as this process sees it.
        pid: i32,
        /// Readable once the child has ended.
        pidfd: OwnedFd,
    },
    /// The new process: same memory image, same descriptors, one thread.
    Child(InChild),
}

/// Makes a child as fork does, in new namespaces and, if given, directly in a cgroup v2 directory.
///
/// - Shapes: `flags` are `CLONE_NEW*`, `CLONE_PARENT`, or 0; never `CLONE_VM`. `CLONE_PIDFD` is added here. The
///   exit signal is SIGCHLD, except with `CLONE_PARENT`, where the kernel uses the caller's own.
/// - Why it takes a proof: a lock held by a second thread (such as the allocator's) would stay locked in the child.
/// - Source: clone3(2).
///
/// # Errors
/// The kernel's error.
pub fn clone3(single: Single, flags: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: an all-zero clone_args is valid: it requests nothing.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags | libc::CLONE_PIDFD as u64;
    args.pidfd = &raw mut pidfd as u64;
    if flags & libc::CLONE_PARENT as u64 == 0 {
        args.exit_signal = libc::SIGCHLD as u64;
    }
    if let Some(dir) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = dir.as_raw_fd() as u64;
    }
    // SAFETY: no CLONE_VM and no stack: the child runs on its own copy of this stack. `args` and `pidfd` live across
    // the call. The process has one thread (`single`), so no lock is held by anyone else in the copy.
    let pid = check(unsafe {
        libc::syscall(libc::SYS_clone3, &args as *const libc::clone_args, std::mem::size_of::<libc::clone_args>())
    })?;
    if pid == 0 {
        return Ok(Forked::Child(InChild::proven_by(single)));
    }
    // SAFETY: the call succeeded with CLONE_PIDFD, so the kernel stored a new descriptor that has no other owner.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Forked::Parent { pid: pid as i32, pidfd })
}

/// Number and arguments of the system call of [`clone_sibling`], to check whether a filter allows it.
pub const SIBLING: (libc::c_long, [u64; 6]) =
    (libc::SYS_clone, [libc::CLONE_PARENT as u64 | libc::SIGCHLD as u64, 0, 0, 0, 0, 0]);

/// Makes a sibling: like fork, but a child of this process's parent. Returns its pid here, and `None` in the new process.
///
/// It uses the old call, which seccomp filters allow where they forbid clone3, whose arguments they cannot inspect.
///
/// - Source: clone(2).
///
/// # Errors
/// The kernel's error.
pub fn clone_sibling(_child: InChild) -> io::Result<Option<i32>> {
    let (number, [flags, ..]) = SIBLING;
    // SAFETY: no CLONE_VM and no stack: the child runs on its own copy of this stack. The order of the other arguments
    // differs between machines, but all of them are null, and no flag uses them. One thread: `_child` is the proof.
    let pid = check(unsafe { libc::syscall(number, flags, 0usize, 0usize, 0usize, 0usize) })?;
    Ok((pid != 0).then_some(pid as i32))
}
