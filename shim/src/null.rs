// SPDX-License-Identifier: Apache-2.0
//! The host's null device, as containers get it: usable, but not changeable.
//!
//! Root in a container is root on the host. Through a writable mount, it could chmod the single `/dev/null` of the node,
//! by way of a masked file or its own descriptor 0. On a read-only mount the kernel refuses that. Reads and writes still
//! work, because they go to the device and not to the file system.

use crate::descriptor::reopen;
use crate::failure::{self, Kind, Result};
use crate::rootfs::is_char_device;
use crate::tree::{Reach, clone_path};
use rustix::fs::OFlags;
use rustix::mount::MountAttrFlags;
use std::os::fd::OwnedFd;
use std::path::Path;

const PATH: &str = "/dev/null";

/// Makes a detached, read-only mount of the host's null device alone.
///
/// # Errors
/// `Internal` when the path is not the null device: a container's could be anything (CVE-2025-31133).
pub fn detached() -> Result<OwnedFd> {
    let attributes =
        MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let tree = clone_path(Path::new(PATH), Reach::Top, attributes)?;
    // Checks what was cloned instead of resolving the path again, so nothing can be swapped in between.
    if !is_char_device(&tree, 1, 3) {
        return Err(failure::refused(Kind::Internal, "open", PATH, "not the null device"));
    }
    Ok(tree)
}

/// Opens the device through the mount that [`detached`] made.
///
/// # Errors
/// The kernel's error; `Internal` when it is not the null device.
pub fn open(tree: &OwnedFd, access: OFlags) -> Result<OwnedFd> {
    reopen(tree, access, PATH)
}
