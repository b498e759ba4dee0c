// SPDX-License-Identifier: Apache-2.0
//! Mounts whose file owners are translated by a user namespace's maps.

use crate::failure::{self, Kind, Result};
use crate::sys::{self, MountAttr};
use crate::tree::Reach;
use rustix::mount::MountAttrFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Translates the owners on a detached mount by `user_namespace`'s maps.
///
/// # Errors
/// `Unimplemented` when the file system cannot be id-mapped.
pub fn set(tree: &OwnedFd, user_namespace: BorrowedFd<'_>, reach: Reach, object: &str) -> Result<()> {
    let attr = MountAttr {
        set: MountAttrFlags::MOUNT_ATTR_IDMAP.bits().into(),
        user_namespace: Some(user_namespace),
        recursive: reach == Reach::All,
        ..MountAttr::default()
    };
    sys::mount_setattr(tree.as_fd(), attr).map_err(|e| {
        let mut failure = failure::kernel("map ids of mount", object, e);
        if failure.errno == libc::EINVAL {
            failure.kind = Kind::Unimplemented.into();
        }
        failure
    })
}
