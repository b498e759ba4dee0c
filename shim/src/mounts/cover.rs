// SPDX-License-Identifier: Apache-2.0
//! Masked and read-only paths.

use super::attach::attach;
use super::{bind, filesystem};
use crate::failure::{self, Kind, Result};
use crate::rootfs::{Root, is_char_device, is_dir};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use std::os::fd::OwnedFd;

/// Covers each path: a file by the null device, a directory by an empty read-only tmpfs. Missing paths are skipped.
///
/// The null device is the host's own, taken before the root is pivoted and checked by its number: one from the
/// container's /dev could have been replaced by anything (CVE-2025-31133).
pub fn mask(root: &Root, paths: &[String]) -> Result<()> {
    let null = host_null()?;
    let mut empty: Option<OwnedFd> = None;
    for path in paths {
        let Some(point) = find(root, path)? else { continue };
        if !is_dir(&point) {
            attach(clone_of(&null, false, path)?, point, path)?;
            continue;
        }
        // One tmpfs serves all directories: they are empty and cannot be written.
        match &empty {
            Some(first) => attach(clone_of(first, false, path)?, point, path)?,
            None => {
                let all = MountAttrFlags::MOUNT_ATTR_RDONLY
                    | MountAttrFlags::MOUNT_ATTR_NOSUID
                    | MountAttrFlags::MOUNT_ATTR_NODEV
                    | MountAttrFlags::MOUNT_ATTR_NOEXEC;
                let tree = filesystem::detached("tmpfs", "size=0k,nr_inodes=2", all)?;
                attach(&tree, point, path)?;
                empty = Some(tree);
            }
        }
    }
    Ok(())
}

/// Makes each path read-only, with everything mounted below it. Missing paths are skipped.
pub fn read_only(root: &Root, paths: &[String]) -> Result<()> {
    for path in paths {
        let Some(point) = find(root, path)? else { continue };
        let tree = clone_of(&point, true, path)?;
        bind::set_attributes(&tree, MountAttrFlags::MOUNT_ATTR_RDONLY, true, path)?;
        attach(tree, point, path)?;
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

fn host_null() -> Result<OwnedFd> {
    let null = rustix::fs::open("/dev/null", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| failure::kernel("open", "/dev/null", e))?;
    if !is_char_device(&null, 1, 3) {
        return Err(failure::refused(Kind::Internal, "open", "/dev/null", "not the null device"));
    }
    Ok(null)
}

fn clone_of(handle: &OwnedFd, recursive: bool, object: &str) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    open_tree(handle, "", flags).map_err(|e| failure::kernel("bind", object, e))
}
