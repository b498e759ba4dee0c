// SPDX-License-Identifier: Apache-2.0
//! Detached mount trees: clones of existing mounts, with attributes and propagation set before they become visible.

use crate::failure::{self, Result};
use crate::sys::{self, MountAttr};
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// How much of a tree an operation covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Only the mount at its top.
    Top,
    /// That mount and all mounts below it.
    All,
}

/// The mount propagation between a mount and those that it was cloned from, or that are cloned from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// None.
    Private,
    /// Mounts made on the other side appear here.
    Slave,
    /// Mounts made on either side appear on both.
    Shared,
}

impl Propagation {
    /// The kernel's `MS_*` flag.
    fn flag(self) -> u64 {
        match self {
            Self::Private => libc::MS_PRIVATE,
            Self::Slave => libc::MS_SLAVE,
            Self::Shared => libc::MS_SHARED,
        }
    }
}

/// Clones the mount that `path` is on, starting at `path`, with `attributes`. Links are followed, on the host. The clone
/// is private.
///
/// A clone starts in the peer group of the original mount. Whatever is mounted in it later, even in another mount
/// namespace, would also be mounted on the host, so it leaves the group right here.
///
/// # Errors
/// The kernel's error, with the path.
pub fn clone_path(path: &Path, reach: Reach, attributes: MountAttrFlags) -> Result<OwnedFd> {
    let object = path.display().to_string();
    let tree = open_tree(rustix::fs::CWD, path, flags(reach));
    let tree = tree.map_err(|e| failure::kernel("bind", object.as_str(), e))?;
    change(&tree, reach, attributes, Propagation::Private, &object).map(|()| tree)
}

/// Like [`clone_path`], but clones only the single mount that a handle refers to.
///
/// # Errors
/// The kernel's error, with `object`.
pub fn clone_handle(handle: impl AsFd, attributes: MountAttrFlags, object: &str) -> Result<OwnedFd> {
    let tree = clone_peer(handle, Reach::Top, object)?;
    change(&tree, Reach::Top, attributes, Propagation::Private, object).map(|()| tree)
}

/// Clones what a handle refers to, unchanged: the clone stays in the peer group of the original mount.
///
/// # Errors
/// The kernel's error, with `object`.
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
/// The kernel's error, with `object`.
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
/// The kernel's error, with `object`.
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
/// The kernel's error, with `object`.
pub fn set_propagation(tree: impl AsFd, reach: Reach, propagation: Propagation, object: &str) -> Result<()> {
    let attr = MountAttr { propagation: propagation.flag(), ..of(reach) };
    sys::mount_setattr(tree.as_fd(), attr).map_err(|e| failure::kernel("set propagation", object, e))
}

fn of(reach: Reach) -> MountAttr<'static> {
    MountAttr { recursive: reach == Reach::All, ..MountAttr::default() }
}
