// SPDX-License-Identifier: Apache-2.0
//! Seccomp filters.

use super::answer::check;
use std::io;

/// Loads a classic BPF program as this thread's seccomp filter.
///
/// - Shapes: `program` is a sequence of 8-byte `struct sock_filter`, at most 4096 of them.
/// - Source: seccomp(2), `SECCOMP_SET_MODE_FILTER`.
///
/// # Errors
/// `EINVAL` for an invalid length and for a program that the kernel's checker rejects; `EACCES` without no_new_privs and
/// without `CAP_SYS_ADMIN`.
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
