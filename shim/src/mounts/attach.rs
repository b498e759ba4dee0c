// SPDX-License-Identifier: Apache-2.0
//! The child's half: attaches every prepared mount at its place inside the root.

use super::plan::{Plan, Prepared, Source};
use super::{filesystem, image, proc, shared};
use crate::failure::{self, Kind, Result};
use crate::rootfs::{Point, Root, is_dir};
use crate::tree::{Reach, clone_path, clone_peer};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use rustix::mount::{MountAttrFlags, MoveMountFlags, UnmountFlags, move_mount, unmount};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The procfs files that may be mounted over: LXCFS does so, to fill them in for a container.
const REPLACEABLE: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// Attaches `tree` on top of what `point` inside the root refers to, and nowhere else.
///
/// # Errors
/// The kernel's error, with `object`; `Internal` when the mount of a shared volume cannot be found.
pub fn attach(root: &Root, tree: impl AsFd, point: &OwnedFd, object: &str) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    let put = || move_mount(tree, "", point, "", flags).map_err(|e| failure::kernel("mount", object, e));
    let volume = if root.shares() { shared::top(root, point)? } else { None };
    match volume {
        Some(top) => shared::apart(&top, object, put),
        None => put(),
    }
}

/// Attaches all mounts of the plan inside `root`, in order.
///
/// # Errors
/// That of the first mount that cannot be attached: `InvalidArgument` for a place inside /proc, and for a file on a directory
/// or the reverse; otherwise the kernel's error, with the destination.
pub fn attach_all(root: &Root, plan: Plan<'_>) -> Result<()> {
    if plan.shares {
        root.set_shares();
    }
    plan.mounts.into_iter().try_for_each(|mount| attach_one(root, mount))
}

fn attach_one(root: &Root, mount: Prepared<'_>) -> Result<()> {
    let object = mount.destination;
    let point = root.make(object.as_bytes(), mount.point)?;
    if matches!(mount.source, Source::Volume(_)) && is_mounted_on(&point, object)? {
        return Ok(());
    }
    refuse_over_proc(&point, object)?;
    refuse_other_kind(&point, mount.point, mount.from, object)?;
    match mount.source {
        Source::Tree(tree) | Source::Volume(tree) => attach(root, tree, &point, object),
        Source::New(name, options) => attach(root, new(name, options, mount.attributes)?, &point, object),
        Source::SubPath { overlay, sub_path, scratch } => {
            let tree = sub_tree(overlay, sub_path, scratch, object).map_err(image::of_image_volume)?;
            attach(root, tree, &point, object)
        }
        Source::CgroupV1 { base, hierarchies } => {
            attach(root, &base, &point, object)?;
            hierarchies.into_iter().try_for_each(|(name, tree)| attach_below(&base, &name, &tree))
        }
    }
}

/// Makes a file system of the child's namespaces. The kernel refuses a sysfs of a network namespace that the child's
/// user namespace does not own; the host's /sys is then mounted instead, read-only all the way down.
fn new(name: &str, options: &str, attributes: MountAttrFlags) -> Result<OwnedFd> {
    match filesystem::detached(name, options, attributes) {
        Err(e) if name == "sysfs" && e.errno == libc::EPERM => {
            clone_path(Path::new("/sys"), Reach::All, attributes | MountAttrFlags::MOUNT_ATTR_RDONLY)
        }
        other => other,
    }
}

/// Refuses mounts inside procfs, except over the few files that are meant to be covered.
fn refuse_over_proc(point: &OwnedFd, object: &str) -> Result<()> {
    let stat = rustix::fs::fstatfs(point).map_err(|e| failure::kernel("statfs", object, e))?;
    if stat.f_type as i64 != proc::MAGIC || REPLACEABLE.contains(&object) {
        return Ok(());
    }
    Err(failure::refused(Kind::InvalidArgument, "mount", object, "nothing may be mounted inside /proc"))
}

/// Whether `point` is the root of a mount. The daemon compares names; links in the image may lead elsewhere, which
/// shows here.
fn is_mounted_on(point: &OwnedFd, object: &str) -> Result<bool> {
    let stat = statx(point, "", AtFlags::EMPTY_PATH, StatxFlags::empty());
    let stat = stat.map_err(|e| failure::kernel("statx", object, e))?;
    Ok(stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// A directory goes on a directory, anything else on anything else. The kernel's "not a directory" does not tell which
/// of the two is wrong.
fn refuse_other_kind(point: &OwnedFd, needed: Point, from: &str, object: &str) -> Result<()> {
    let why = match (needed, is_dir(point)) {
        (Point::Directory, true) | (Point::File, false) => return Ok(()),
        (Point::Directory, false) => format!("{from} is a directory, but the container has a file there"),
        (Point::File, true) => format!("{from} is not a directory, but the container has a directory there"),
    };
    Err(failure::refused(Kind::InvalidArgument, "mount", object, &why))
}

/// The visible part of an image volume. Meanwhile the overlay is mounted on `scratch`: in this mount namespace only,
/// and on top of the tree that is detached when the root is pivoted.
fn sub_tree(overlay: OwnedFd, sub_path: &str, scratch: &Path, object: &str) -> Result<OwnedFd> {
    let scratch_name = scratch.display().to_string();
    move_mount(&overlay, "", CWD, scratch, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|e| failure::kernel("mount", scratch_name, e))?;
    let handle = Root::new(overlay)
        .handle(sub_path.as_bytes())
        .map_err(|e| failure::kernel("open image volume path", sub_path, e))?;
    let tree = clone_peer(&handle, Reach::Top, object)?;
    drop(handle);
    unmount(scratch, UnmountFlags::DETACH).map_err(|e| failure::kernel("unmount", object, e))?;
    Ok(tree)
}

/// Attaches `tree` to a directory of one of our own file systems: we created the name ourselves.
fn attach_below(base: &OwnedFd, name: &str, tree: &OwnedFd) -> Result<()> {
    move_mount(tree, "", base, name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|e| failure::kernel("mount", name, e))
}
