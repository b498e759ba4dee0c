// SPDX-License-Identifier: Apache-2.0
//! What the shim hands to the child: mounts that are made, or that the child can make.

use crate::rootfs::Point;
use rustix::mount::MountAttrFlags;
use std::os::fd::OwnedFd;
use std::path::Path;

/// A container's mounts, ready for the child.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// In the order in which they are attached.
    pub mounts: Vec<Prepared<'a>>,
    /// The devpts that the container gets, to open terminals from.
    pub devpts: Option<OwnedFd>,
    /// Whether `/dev` is ours: then it has all devices already.
    pub own_dev: bool,
    /// Whether one of them shares its mounts with the host.
    pub shares: bool,
}

/// A mount on its way from the shim to the child.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// Where it goes, inside the root.
    pub destination: &'a str,
    /// What it needs to stand on.
    pub point: Point,
    /// What it is.
    pub source: Source<'a>,
    /// What it is, for people.
    pub from: &'a str,
    /// Attributes of the new mount.
    pub attributes: MountAttrFlags,
}

/// What is mounted.
#[derive(Debug)]
pub enum Source<'a> {
    /// A detached tree, attributes already set.
    Tree(OwnedFd),
    /// The same for a volume that the image declares: any mount that is at its place already is meant to be there.
    Volume(OwnedFd),
    /// A file system that shows the child's namespaces: name and options.
    New(&'static str, &'a str),
    /// Layers of an image of which only `sub_path` is shown. `scratch` is any host directory to stand on while the
    /// path is walked, in the child's own namespace; the root of a user namespace must be able to get there.
    SubPath {
        /// The detached overlay.
        overlay: OwnedFd,
        /// Below its root.
        sub_path: &'a str,
        /// A host directory.
        scratch: &'a Path,
    },
    /// v1: a tmpfs with one directory per hierarchy, all made, each for the container's own cgroup.
    CgroupV1 {
        /// The detached tmpfs.
        base: OwnedFd,
        /// Directory name in it and a detached bind of the cgroup.
        hierarchies: Vec<(String, OwnedFd)>,
    },
}
