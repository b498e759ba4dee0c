// SPDX-License-Identifier: Apache-2.0
//! What the shim passes to the child: mounts that are made, or that the child can make.

use crate::rootfs::Point;
use rustix::mount::MountAttrFlags;
use std::os::fd::OwnedFd;
use std::path::Path;

/// A container's mounts, ready for the child.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// In the order of attachment.
    pub mounts: Vec<Prepared<'a>>,
    /// The devpts that the container gets, to open terminals from.
    pub devpts: Option<OwnedFd>,
    /// Whether `/dev` is ours: it then has all devices already.
    pub own_dev: bool,
    /// Whether one of the mounts shares its mounts with the host.
    pub shares: bool,
}

/// A mount on its way from the shim to the child.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// Its path inside the root.
    pub destination: &'a str,
    /// What it needs as a mount point.
    pub point: Point,
    /// The mount itself.
    pub source: Source<'a>,
    /// A description for error messages.
    pub from: &'a str,
    /// Attributes of the new mount.
    pub attributes: MountAttrFlags,
}

/// What is mounted.
#[derive(Debug)]
pub enum Source<'a> {
    /// A detached tree, attributes already set.
    Tree(OwnedFd),
    /// The same, for a volume that the image declares: a mount that already exists at its place takes precedence.
    Volume(OwnedFd),
    /// A file system that shows the child's namespaces: name and options.
    New(&'static str, &'a str),
    /// Image layers of which only `sub_path` is shown. `scratch` is any host directory to mount on while the path is
    /// walked, in the child's own namespace; the root of a user namespace must be able to reach it.
    SubPath {
        /// The detached overlay.
        overlay: OwnedFd,
        /// The path below the overlay's root.
        sub_path: &'a str,
        /// A host directory.
        scratch: &'a Path,
    },
    /// On v1: a tmpfs with one directory per hierarchy, all created, each for the container's own cgroup.
    CgroupV1 {
        /// The detached tmpfs.
        base: OwnedFd,
        /// The name of a directory in it and a detached bind of the cgroup, for each hierarchy.
        hierarchies: Vec<(String, OwnedFd)>,
    },
}
