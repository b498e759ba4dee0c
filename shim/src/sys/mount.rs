// SPDX-License-Identifier: Apache-2.0
//! Changes the attributes of mounts.

use super::answer::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The changes that [`mount_setattr`] makes. The flags are `MOUNT_ATTR_*`, `propagation` is one of `MS_PRIVATE`, `MS_SLAVE`,
/// `MS_SHARED` or 0.
#[derive(Debug, Default, Clone, Copy)]
pub struct MountAttr<'fd> {
    /// Attributes to switch on.
    pub set: u64,
    /// Attributes to switch off.
    pub clear: u64,
    /// The new propagation type; 0 leaves it unchanged.
    pub propagation: u64,
    /// The user namespace whose maps apply to the ids; goes with `MOUNT_ATTR_IDMAP` in `set`.
    pub user_namespace: Option<BorrowedFd<'fd>>,
    /// Whether all mounts below are changed as well, all or none.
    pub recursive: bool,
}

/// Changes the attributes of the mount that `mount` (an `O_PATH`, `open_tree` or `fsmount` descriptor) refers to.
///
/// - Source: mount_setattr(2).
///
/// # Errors
/// The kernel's error; nothing is changed then.
pub fn mount_setattr(mount: BorrowedFd<'_>, attr: MountAttr<'_>) -> io::Result<()> {
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
    let flags = libc::AT_EMPTY_PATH | if attr.recursive { libc::AT_RECURSIVE } else { 0 };
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
