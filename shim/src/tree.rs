// SPDX-License-Identifier: Apache-2.0
//! Detached mount trees: clones of what is mounted somewhere, with attributes and propagation set before anyone sees
//! them.

use crate::failure::{self, Result};
use crate::sys::{self, MountAttr};
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// How much of a tree is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The mount at its top alone.
    Top,
    /// That mount and all mounts below it.
    All,
}

/// What a mount shares with the mounts that it was cloned from, or that are cloned from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Nothing.
    Private,
    /// What is mounted on the other side shows here.
    Slave,
    /// What is mounted on either side shows on both.
    Shared,
}

impl Propagation {
    /// The kernel's `MS_*`.
    fn flag(self) -> u64 {
        match self {
            Self::Private => libc::MS_PRIVATE,
            Self::Slave => libc::MS_SLAVE,
            Self::Shared => libc::MS_SHARED,
        }
    }
}

/// Clones the mount that `path` is on, starting at `path`, with `attributes`; links are followed, on the host. The clone
/// is private.
///
/// A clone is born into the peer group of the mount that it comes from. Whatever is mounted in it afterwards, also in
/// another mount namespace, would be mounted in the host's table as well: so it leaves the group right here.
///
/// # Errors
/// What the kernel answered, with the path.
pub fn clone_path(path: &Path, reach: Reach, attributes: MountAttrFlags) -> Result<OwnedFd> {
    let object = path.display().to_string();
    let tree = open_tree(rustix::fs::CWD, path, flags(reach));
    let tree = tree.map_err(|e| failure::kernel("bind", object.as_str(), e))?;
    change(&tree, reach, attributes, Propagation::Private, &object).map(|()| tree)
}

/// As [`clone_path`], of the mount alone that a handle refers to.
///
/// # Errors
/// What the kernel answered, with `object`.
pub fn clone_handle(handle: impl AsFd, attributes: MountAttrFlags, object: &str) -> Result<OwnedFd> {
    let tree = clone_peer(handle, Reach::Top, object)?;
    change(&tree, Reach::Top, attributes, Propagation::Private, object).map(|()| tree)
}

/// Clones what a handle refers to, as it is: in the peer group of the mount that it comes from.
///
/// # Errors
/// What the kernel answered, with `object`.
pub fn clone_peer(handle: impl AsFd, reach: Reach, object: &str) -> Result<OwnedFd> {
    let flags = flags(reach) | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(handle, "", flags).map_err(|e| failure::kernel("bind", object, e))
}

fn flags(reach: Reach) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    match reach {
        Reach::Top => flags,
        Reach::All => flags | OpenTreeFlags::AT_RECURSIVE,
    }
}

/// Switches `attributes` on and sets the propagation.
///
/// # Errors
/// What the kernel answered, with `object`.
pub fn change(
    tree: impl AsFd,
    reach: Reach,
    attributes: MountAttrFlags,
    propagation: Propagation,
    object: &str,
) -> Result<()> {
    let attr = MountAttr { set: attributes.bits().into(), propagation: propagation.flag(), ..of(reach) };
    sys::mount_setattr(tree.as_fd(), attr).map_err(|e| failure::kernel("set mount attributes", object, e))
}

/// Switches `attributes` on.
///
/// # Errors
/// What the kernel answered, with `object`.
pub fn set_attributes(tree: impl AsFd, reach: Reach, attributes: MountAttrFlags, object: &str) -> Result<()> {
    if attributes.is_empty() {
        return Ok(());
    }
    let attr = MountAttr { set: attributes.bits().into(), ..of(reach) };
    sys::mount_setattr(tree.as_fd(), attr).map_err(|e| failure::kernel("set mount attributes", object, e))
}

/// Sets the propagation.
///
/// # Errors
/// What the kernel answered, with `object`.
pub fn set_propagation(tree: impl AsFd, reach: Reach, propagation: Propagation, object: &str) -> Result<()> {
    let attr = MountAttr { propagation: propagation.flag(), ..of(reach) };
    sys::mount_setattr(tree.as_fd(), attr).map_err(|e| failure::kernel("set propagation", object, e))
}

fn of(reach: Reach) -> MountAttr<'static> {
    MountAttr { recursive: reach == Reach::All, ..MountAttr::default() }
}
