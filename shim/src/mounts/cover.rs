// SPDX-License-Identifier: Apache-2.0
//! Masked and read-only paths.

use super::attach::attach;
use super::filesystem;
use crate::failure::{self, Result};
use crate::null;
use crate::rootfs::{Root, is_dir};
use crate::tree::{Propagation, Reach, change, clone_peer};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::os::fd::OwnedFd;

/// Covers each path: a file with the host's null device, taken before the root is pivoted, and a directory with an
/// empty tmpfs, both read-only. Missing paths are skipped.
///
/// # Errors
/// The kernel's error, with the path.
pub fn mask(root: &Root, paths: &[String]) -> Result<()> {
    // One mount serves all files, another all directories. Before Linux 6.15 only an attached mount can be cloned.
    let (mut of_files, mut of_directories) = (None, None);
    for path in paths {
        let Some(point) = find(root, path)? else { continue };
        let (cover, make): (&mut Option<OwnedFd>, fn() -> Result<OwnedFd>) =
            if is_dir(&point) { (&mut of_directories, empty_directory) } else { (&mut of_files, null::detached) };
        match cover {
            Some(first) => attach(root, clone_peer(&*first, Reach::Top, path)?, &point, path)?,
            None => attach(root, cover.insert(make()?), &point, path)?,
        }
    }
    Ok(())
}

fn empty_directory() -> Result<OwnedFd> {
    let all = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    filesystem::detached("tmpfs", "size=0k,nr_inodes=2", all)
}

/// Makes each path read-only, with everything mounted below it. Missing paths are skipped.
///
/// # Errors
/// The kernel's error, with the path.
pub fn read_only(root: &Root, paths: &[String]) -> Result<()> {
    for path in paths {
        let Some(point) = find(root, path)? else { continue };
        let tree = clone_peer(&point, Reach::All, path)?;
        // Part of a volume that shares its mounts with the host: mounts from the host must appear here, but not the
        // reverse.
        change(&tree, Reach::All, MountAttrFlags::MOUNT_ATTR_RDONLY, Propagation::Slave, path)?;
        attach(root, tree, &point, path)?;
    }
    Ok(())
}

fn find(root: &Root, path: &str) -> Result<Option<OwnedFd>> {
    match root.handle(path.as_bytes()) {
        Ok(handle) => Ok(Some(handle)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(e) => Err(failure::kernel("open", path, e)),
    }
}
