// SPDX-License-Identifier: Apache-2.0
//! The return value of a raw system call.

use std::io;

/// Turns the return value of a raw system call into a `Result`.
pub(super) fn check(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}
