// SPDX-License-Identifier: Apache-2.0
//! Resource limits.

use super::answer::check;
use std::io;

/// Sets one resource limit of this process by its `RLIMIT_*` number.
///
/// # Errors
/// `EPERM` when `hard` is above the current hard limit and `CAP_SYS_RESOURCE` is not held; `EINVAL` for an unknown number,
/// or for `soft` above `hard`.
pub fn set_rlimit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: pid 0 is this process; `limit` lives across the call and is only read; no old value is requested.
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
///
/// # Errors
/// `EINVAL` for an unknown number.
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
