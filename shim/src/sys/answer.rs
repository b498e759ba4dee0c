// SPDX-License-Identifier: Apache-2.0
//! What a raw system call answers.

use std::io;

/// Turns a raw system call's answer into a `Result`.
pub(super) fn check(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}
