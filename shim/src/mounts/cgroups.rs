// SPDX-License-Identifier: Apache-2.0
//! `/sys/fs/cgroup` where it cannot be a cgroup2 of the container's own namespace.

use super::filesystem;
use super::plan::Source;
use crate::cgroup::Cgroup;
use crate::failure::{self, Result};
use crate::tree::{Reach, clone_handle, clone_path, set_attributes};
use rustix::fs::{Mode, mkdirat, symlinkat};
use rustix::mount::MountAttrFlags;

/// Mounts the host's cgroup2, or on v1 a directory with the container's own cgroup of each hierarchy.
///
/// # Errors
/// The kernel's error.
pub fn detached(cgroup: &Cgroup, attributes: MountAttrFlags, destination: &str) -> Result<Source<'static>> {
    if let (true, Some(mount_point)) = (cgroup.is_v2(), cgroup.unified_mount()) {
        return clone_path(mount_point, Reach::Top, attributes).map(Source::Tree);
    }
    let base = filesystem::detached("tmpfs", "mode=0755,size=64k", attributes - MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    let mut hierarchies = Vec::new();
    for (name, dir) in cgroup.v1_mounts() {
        let name = name.to_string_lossy().into_owned();
        mkdirat(&base, &name, Mode::from_raw_mode(0o755)).map_err(|e| failure::kernel("make mount point", &name, e))?;
        hierarchies.push((name, clone_handle(dir, attributes, destination)?));
    }
    for (link, target) in cgroup.v1_links() {
        symlinkat(target, &base, link).map_err(|e| failure::kernel("make link", link, e))?;
    }
    set_attributes(&base, Reach::Top, attributes, destination)?;
    Ok(Source::CgroupV1 { base, hierarchies })
}
