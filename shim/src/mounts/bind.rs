// SPDX-License-Identifier: Apache-2.0
//! Host directories and files as detached binds, with attributes and propagation set before anyone sees them.

use super::idmap;
use crate::failure::{self, Kind, Result};
use crate::rootfs::{Point, is_dir};
use crate::sys::{self, MountAttr};
use crate::wire::{IdMap, Mount, mount::Propagation};
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// A detached bind.
#[derive(Debug)]
pub struct Bind {
    /// The cloned tree.
    pub tree: OwnedFd,
    /// What it needs to stand on.
    pub point: Point,
}

/// Clones the mount that `path` is on, starting at `path`; links are followed, on the host. The clone is private.
pub fn clone_tree(path: &Path, recursive: bool) -> Result<OwnedFd> {
    clone_with(path, recursive, MountAttrFlags::empty())
}

/// As [`clone_tree`], with `attributes`.
///
/// A clone is born into the peer group of the mount that it comes from. Whoever mounts something in it afterwards, also
/// in a mount namespace of his own, would mount it in the host's table as well: so it leaves the group right here.
pub fn clone_with(path: &Path, recursive: bool, attributes: MountAttrFlags) -> Result<OwnedFd> {
    let object = path.display().to_string();
    let tree = open_tree(rustix::fs::CWD, path, clone_flags(recursive))
        .map_err(|e| failure::kernel("bind", object.as_str(), e))?;
    change(&tree, recursive, attributes, libc::MS_PRIVATE, &object).map(|()| tree)
}

/// As [`clone_with`], of what a handle refers to, alone.
pub fn clone_handle(handle: impl AsFd, attributes: MountAttrFlags, object: &str) -> Result<OwnedFd> {
    let flags = clone_flags(false) | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(handle, "", flags).map_err(|e| failure::kernel("bind", object, e))?;
    change(&tree, false, attributes, libc::MS_PRIVATE, object).map(|()| tree)
}

/// Switches `attributes` on and sets the propagation, which is an `MS_*`.
pub fn change(
    tree: &OwnedFd,
    recursive: bool,
    attributes: MountAttrFlags,
    propagation: u64,
    object: &str,
) -> Result<()> {
    let attr = MountAttr { set: u64::from(attributes.bits()), propagation, ..MountAttr::default() };
    sys::mount_setattr(tree.as_fd(), recursive, attr).map_err(|e| failure::kernel("set mount attributes", object, e))
}

fn clone_flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive { flags | OpenTreeFlags::AT_RECURSIVE } else { flags }
}

/// Opens, checks and clones a bind source. `user_namespace` finds one with given maps.
///
/// - Errors: `NotFound` when it is missing and must not be made; `FailedPrecondition` when the source's mount cannot
///   propagate as asked.
pub fn prepare(mount: &Mount, user_namespace: impl Fn(&[IdMap], &[IdMap]) -> Result<OwnedFd>) -> Result<Bind> {
    let source = open_source(mount)?;
    let point = if is_dir(&source) { Point::Directory } else { Point::File };
    check_propagation(mount, &source)?;
    let flags = clone_flags(mount.recursive_bind) | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(&source, "", flags).map_err(|e| failure::kernel("bind", &mount.source, e))?;
    if !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() {
        let user_namespace = user_namespace(&mount.uid_mappings, &mount.gid_mappings)?;
        idmap::set(&tree, user_namespace.as_fd(), mount.recursive_bind, &mount.source)?;
    }
    match mount.propagation() {
        Propagation::Private => set_propagation(&tree, libc::MS_PRIVATE, &mount.source)?,
        Propagation::Slave => set_propagation(&tree, libc::MS_SLAVE, &mount.source)?,
        // The clone is in the source's peer group already.
        Propagation::Shared => {}
    }
    set_attributes(&tree, super::attributes(mount), mount.recursive_readonly, &mount.source)?;
    Ok(Bind { tree, point })
}

fn open_source(mount: &Mount) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    // As a directory first: asked for a mere handle, the kernel leaves an automount point as it is, empty.
    let open = || match rustix::fs::open(&mount.source, flags | OFlags::DIRECTORY, Mode::empty()) {
        Err(rustix::io::Errno::NOTDIR) => rustix::fs::open(&mount.source, flags, Mode::empty()),
        other => other,
    };
    let source = match open() {
        Err(rustix::io::Errno::NOENT) if mount.create_source => {
            fs::create_dir_all(&mount.source).map_err(|e| failure::kernel("make mount source", &mount.source, e))?;
            open()
        }
        other => other,
    };
    source.map_err(|e| failure::kernel("open mount source", &mount.source, e))
}

/// What the source's mount must be on the host for the asked propagation to mean anything.
fn check_propagation(mount: &Mount, source: &OwnedFd) -> Result<()> {
    let (fits, why): (fn(&str) -> bool, _) = match mount.propagation() {
        Propagation::Private => return Ok(()),
        Propagation::Slave => {
            (|tag| tag.starts_with("shared:") || tag.starts_with("master:"), "not on a shared or slave mount")
        }
        Propagation::Shared => (|tag| tag.starts_with("shared:"), "not on a shared mount"),
    };
    let stat = rustix::fs::statx(source, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)
        .map_err(|e| failure::kernel("statx", &mount.source, e))?;
    let table =
        fs::read_to_string("/proc/self/mountinfo").map_err(|e| failure::kernel("read", "/proc/self/mountinfo", e))?;
    let id = stat.stx_mnt_id.to_string();
    let line = table.lines().find(|line| line.split(' ').next() == Some(&id)).unwrap_or_default();
    let mut tags = line.split(' ').skip(6).take_while(|tag| *tag != "-");
    if tags.any(fits) {
        return Ok(());
    }
    Err(failure::refused(Kind::FailedPrecondition, "propagate mount", &mount.source, why))
}

fn set_propagation(tree: &OwnedFd, propagation: u64, object: &str) -> Result<()> {
    let attr = MountAttr { propagation, ..MountAttr::default() };
    sys::mount_setattr(tree.as_fd(), true, attr).map_err(|e| failure::kernel("set propagation", object, e))
}

/// Switches `attributes` on, on the top mount only or all the way down.
pub fn set_attributes(tree: &OwnedFd, attributes: MountAttrFlags, recursive: bool, object: &str) -> Result<()> {
    if attributes.is_empty() {
        return Ok(());
    }
    let attr = MountAttr { set: u64::from(attributes.bits()), ..MountAttr::default() };
    sys::mount_setattr(tree.as_fd(), recursive, attr).map_err(|e| failure::kernel("set mount attributes", object, e))
}
