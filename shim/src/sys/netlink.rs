// SPDX-License-Identifier: Apache-2.0
//! Netlink sockets.

use super::answer::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Makes the kernel explain its errors on this netlink socket (`NETLINK_EXT_ACK`).
///
/// # Errors
/// `ENOPROTOOPT` from a kernel without it, or for a socket of another family.
pub fn ask_for_reasons(socket: BorrowedFd<'_>) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the kernel reads `size_of` bytes of `on`, which lives across the call. The descriptor is open (`socket`), and
    // the option does not change memory of this process.
    check(libc::c_long::from(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_NETLINK,
            libc::NETLINK_EXT_ACK,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    }))
    .map(drop)
}
