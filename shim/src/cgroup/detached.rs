// SPDX-License-Identifier: Apache-2.0
//! The hierarchies as the daemon reads them: mounts that are in no mount table, so that nothing can be mounted
//! inside them.

use super::place::root;
use crate::connection::MAX_DESCRIPTORS;
use crate::failure::Result;
use crate::malformed::{Malformed, absolute, each};
use crate::tree::clone_handle;
use crate::wire::MountCgroups;
use rustix::mount::MountAttrFlags;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Clones the mount of each hierarchy.
///
/// # Errors
/// `InvalidArgument` for more mount points than one reply can carry, and for one that is not an absolute path;
/// `FailedPrecondition` with the mount point when no cgroup file system is mounted there.
pub fn detached(request: MountCgroups) -> Result<Vec<OwnedFd>> {
    if request.mount_points.len() > MAX_DESCRIPTORS {
        let why = format!("{} exceed the maximum of {MAX_DESCRIPTORS}", request.mount_points.len());
        return Err(Malformed::new("mount_points", why).into());
    }
    let mount_points = each("mount_points", request.mount_points, |point| absolute("", point))?;
    let quiet =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    mount_points.iter().map(|point| clone_handle(root(Path::new(point))?, quiet, point)).collect()
}
