// SPDX-License-Identifier: Apache-2.0
//! The hierarchies as the daemon reads them: mounts that stand in nobody's table, so that nobody can mount in them.

use super::place::root;
use crate::connection::MAX_DESCRIPTORS;
use crate::failure::{self, Kind, Result};
use crate::tree::clone_handle;
use rustix::mount::MountAttrFlags;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Clones the mount of each hierarchy.
///
/// - Errors: `FailedPrecondition` with the mount point when no cgroup file system is there.
pub fn detached(mount_points: &[String]) -> Result<Vec<OwnedFd>> {
    if mount_points.len() > MAX_DESCRIPTORS {
        let why = format!("more than {MAX_DESCRIPTORS}");
        return Err(failure::refused(Kind::InvalidArgument, "mount cgroups", "the hierarchies", &why));
    }
    let quiet =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    mount_points.iter().map(|point| clone_handle(root(Path::new(point))?, quiet, point)).collect()
}
