// SPDX-License-Identifier: Apache-2.0
//! The host's null device as containers get it: usable, but not changeable.
//!
//! Root in a container is root on the host. Through a writable mount it could chmod the one `/dev/null` of the whole node:
//! by a masked file, or by its own descriptor 0. On a read-only mount the kernel refuses that. Reads and writes still work,
//! because they go to the device and not to the file system.

use crate::descriptor::reopen;
use crate::failure::{self, Kind, Result};
use crate::rootfs::is_char_device;
use crate::tree::{Reach, clone_path};
use rustix::fs::OFlags;
use rustix::mount::MountAttrFlags;
use std::os::fd::OwnedFd;
use std::path::Path;

const PATH: &str = "/dev/null";

/// Mounts the host's null device alone, read-only, attached nowhere.
///
/// # Errors
/// `Internal` when something else has its name: one from a container could be anything (CVE-2025-31133).
pub fn detached() -> Result<OwnedFd> {
    let attributes =
        MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let tree = clone_path(Path::new(PATH), Reach::Top, attributes)?;
    // The very thing that was cloned is looked at: the name has no second chance.
    if !is_char_device(&tree, 1, 3) {
        return Err(failure::refused(Kind::Internal, "open", PATH, "not the null device"));
    }
    Ok(tree)
}

/// Opens the device through such a mount.
pub fn open(tree: &OwnedFd, access: OFlags) -> Result<OwnedFd> {
    reopen(tree, access, PATH)
}
