// SPDX-License-Identifier: Apache-2.0
//! The system calls that no safe crate offers, each as one small safe function. The only `unsafe` of Gorae.
//!
//! Never decides anything: arguments in, kernel's answer out. A raw descriptor number does not leave this module.

mod bpf;
mod process;
mod signals;
mod title;

pub use bpf::{attach_device_program, load_device_program};
pub use process::{
    Forked, SIBLING, clone_sibling, clone3, close_range, end_with_this_process, execve, exit_now, join_session_keyring,
    keep_open, pidfd_send_signal, place_and_close_rest, release_heap, release_stack, reopen, wait_for_death,
};
pub use signals::{ignore_signals, prepare_signals, reset_signals};
pub use title::{find_title, forget_heap, set_title};

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Turns a raw system call's answer into a `Result`.
pub(crate) fn check(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// What [`mount_setattr`] changes. The flags are `MOUNT_ATTR_*`, `propagation` is one of `MS_PRIVATE`, `MS_SLAVE`,
/// `MS_SHARED` or 0.
#[derive(Debug, Default, Clone, Copy)]
pub struct MountAttr<'fd> {
    /// Attributes to switch on.
    pub set: u64,
    /// Attributes to switch off.
    pub clear: u64,
    /// The new propagation type; 0 leaves it.
    pub propagation: u64,
    /// The user namespace whose maps translate ids; goes with `MOUNT_ATTR_IDMAP` in `set`.
    pub user_namespace: Option<BorrowedFd<'fd>>,
}

/// Changes the attributes of the mount that `mount` (an `O_PATH`, `open_tree` or `fsmount` descriptor) stands on.
///
/// - Shapes: `recursive` takes all mounts below it along, all or nothing.
/// - Source: mount_setattr(2).
pub fn mount_setattr(mount: BorrowedFd<'_>, recursive: bool, attr: MountAttr<'_>) -> io::Result<()> {
    #[repr(C)]
    struct Raw {
        attr_set: u64,
        attr_clr: u64,
        propagation: u64,
        userns_fd: u64,
    }
    let raw = Raw {
        attr_set: attr.set,
        attr_clr: attr.clear,
        propagation: attr.propagation,
        userns_fd: attr.user_namespace.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a NUL-terminated literal; `raw` lives across the call and its size is passed with it; the
    // kernel only reads both.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw as *const Raw,
            std::mem::size_of::<Raw>(),
        )
    })
    .map(drop)
}

/// Loads a classic BPF program as this thread's seccomp filter.
///
/// - Shapes: `program` is a whole number of 8-byte `struct sock_filter`, at most 4096 of them.
/// - Errors: `EINVAL` for another length and for a program that the kernel's checker refuses; `EACCES` without
///   no_new_privs and without `CAP_SYS_ADMIN`.
/// - Source: seccomp(2), `SECCOMP_SET_MODE_FILTER`.
pub fn load_seccomp(program: &[u8], flags: u32) -> io::Result<()> {
    const MAX_INSTRUCTIONS: usize = 4096;
    if !program.len().is_multiple_of(8) || program.is_empty() || program.len() / 8 > MAX_INSTRUCTIONS {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let filter: Vec<libc::sock_filter> = program
        .chunks_exact(8)
        .map(|c| libc::sock_filter {
            code: u16::from_ne_bytes([c[0], c[1]]),
            jt: c[2],
            jf: c[3],
            k: u32::from_ne_bytes([c[4], c[5], c[6], c[7]]),
        })
        .collect();
    let prog = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: `prog` points at `filter`, which holds exactly `len` instructions and lives across the call; the
    // kernel copies the program and does not write to it.
    check(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &prog as *const libc::sock_fprog)
    })
    .map(drop)
}

/// Sets one resource limit of this process by its `RLIMIT_*` number.
///
/// - Errors: `EPERM` when `hard` is above the present hard limit and `CAP_SYS_RESOURCE` is not held; `EINVAL` for
///   an unknown number or `soft` above `hard`.
pub fn set_rlimit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: pid 0 is this process; `limit` lives across the call and is only read; no old value is asked for.
    check(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            &limit as *const libc::rlimit64,
            std::ptr::null_mut::<libc::rlimit64>(),
        )
    })
    .map(drop)
}

/// Reads one resource limit of this process: soft, then hard.
pub fn rlimit(resource: u32) -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: pid 0 is this process; no new value is passed; `limit` is writable and of the size the kernel fills.
    check(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            std::ptr::null::<libc::rlimit64>(),
            &mut limit as *mut libc::rlimit64,
        )
    })?;
    Ok((limit.rlim_cur, limit.rlim_max))
}
