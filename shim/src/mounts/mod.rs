// SPDX-License-Identifier: Apache-2.0
//! The container's mounts, in two halves.
//!
//! The shim, still in the host's mount namespace, makes everything that can be made there as *detached* mounts: bind
//! sources (as they are on the host, shared where they must be), tmpfs, `/dev`, devpts, image volumes. The child, in
//! its own namespaces, makes those that show its namespaces (proc, sysfs, mqueue, cgroup2) and attaches all of them,
//! in order, each onto a handle that was walked inside the root. Nothing of a container is ever attached in the
//! host's mount namespace, and no name inside the container is looked up outside it.

mod attach;
mod bind;
mod cover;
mod filesystem;
pub mod idmap;
mod image;
mod proc;
mod shared;

pub use attach::{attach, attach_all};
pub use cover::{mask, read_only};
pub use image::look as look_in_images;

use crate::cgroup::Cgroup;
use crate::descriptor::duplicate;
use crate::devices;
use crate::failure::{self, Kind, Result};
use crate::namespaces::Namespaces;
use crate::rootfs;
use crate::sys::Single;
use crate::tree::{Reach, clone_handle, clone_path, set_attributes};
use crate::volumes;
use crate::wire::{IdMap, Mount, Start, mount::Propagation, namespace};
use rustix::fs::{Mode, mkdirat, symlinkat};
use rustix::mount::MountAttrFlags;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// A mount on its way from the shim to the child.
#[derive(Debug)]
pub struct Prepared {
    /// Where it goes, inside the root.
    pub destination: Vec<u8>,
    /// What it needs to stand on.
    pub point: rootfs::Point,
    /// What it is.
    pub source: Source,
    /// What it is, for people.
    pub from: String,
    /// Attributes of the new mount.
    pub attributes: MountAttrFlags,
}

/// What is mounted.
#[derive(Debug)]
pub enum Source {
    /// A detached tree, attributes already set.
    Tree(OwnedFd),
    /// The same for a volume that the image declares: any mount that is at its place already is meant to be there.
    Volume(OwnedFd),
    /// A file system that shows the child's namespaces: name and options.
    New(String, String),
    /// Layers of an image of which only `sub_path` is shown. `scratch` is any host directory to stand on while the
    /// path is walked, in the child's own namespace; the root of a user namespace must be able to get there.
    SubPath {
        /// The detached overlay.
        overlay: OwnedFd,
        /// Below its root.
        sub_path: Vec<u8>,
        /// A host directory.
        scratch: PathBuf,
    },
    /// v1: a tmpfs with one directory per hierarchy, all made, each for the container's own cgroup.
    CgroupV1 {
        /// The detached tmpfs.
        base: OwnedFd,
        /// Directory name in it and a detached bind of the cgroup.
        hierarchies: Vec<(String, OwnedFd)>,
    },
}

/// A container's mounts, ready for the child.
#[derive(Debug, Default)]
pub struct Plan {
    /// In the order in which they are attached.
    pub mounts: Vec<Prepared>,
    /// The devpts that the container gets, to open terminals from.
    pub devpts: Option<OwnedFd>,
    /// Whether `/dev` is ours: then it has all devices already.
    pub own_dev: bool,
    /// Whether one of them shares its mounts with the host.
    pub shares: bool,
}

/// Makes everything that can be made in the host's mount namespace.
pub fn prepare(start: &Start, cgroup: &Cgroup, namespaces: &Namespaces, single: Single) -> Result<Plan> {
    let mut plan = Plan::default();
    let with_volumes = volumes::fill(start, single)?;
    for mount in start.mounts.iter().filter(|m| with_volumes || m.filesystem != volumes::KIND) {
        let prepared = prepare_one(mount, start, cgroup, namespaces, &mut plan, single)?;
        plan.mounts.push(prepared);
    }
    Ok(plan)
}

fn prepare_one(
    mount: &Mount,
    start: &Start,
    cgroup: &Cgroup,
    namespaces: &Namespaces,
    plan: &mut Plan,
    single: Single,
) -> Result<Prepared> {
    let user_namespace = namespaces.pin(namespace::Kind::User);
    let mut point = rootfs::Point::Directory;
    let source = match mount.filesystem.as_str() {
        _ if !mount.image_layers.is_empty() => {
            let volume = image::prepare(mount, &start.run_dir, user_namespace, single)?;
            point = volume.point;
            volume.source
        }
        kind @ ("bind" | "" | volumes::KIND) => {
            let map = |uids: &[IdMap], gids: &[IdMap]| idmap::namespace(start, user_namespace, uids, gids, single);
            let bind = bind::prepare(mount, map)?;
            point = bind.point;
            plan.shares |= mount.propagation() == Propagation::Shared;
            if kind == volumes::KIND { Source::Volume(bind.tree) } else { Source::Tree(bind.tree) }
        }
        "tmpfs" if mount.destination.trim_end_matches('/') == "/dev" => {
            plan.own_dev = true;
            let tree = filesystem::detached(
                "tmpfs",
                &tmpfs_options(mount, start),
                attributes(mount) - MountAttrFlags::MOUNT_ATTR_NODEV,
            )?;
            devices::populate(&tree, start)?;
            Source::Tree(tree)
        }
        "tmpfs" => Source::Tree(filesystem::detached("tmpfs", &tmpfs_options(mount, start), attributes(mount))?),
        "devpts" => {
            let tree = filesystem::detached("devpts", &devpts_options(mount, start), attributes(mount))?;
            plan.devpts = Some(duplicate(&tree, "devpts")?);
            Source::Tree(tree)
        }
        "cgroup" if cgroup.is_v2() && start.private_cgroup_namespace => Source::New("cgroup2".into(), String::new()),
        "cgroup" => cgroup_mount(mount, cgroup)?,
        // The child is not in a PID namespace that others live in.
        "proc" if namespaces.pin(namespace::Kind::Pid).is_some() => {
            Source::Tree(proc::detached(namespaces, cgroup, &mount.data, attributes(mount), single)?)
        }
        name @ ("proc" | "sysfs" | "mqueue") => Source::New(name.into(), mount.data.clone()),
        other => {
            return Err(failure::refused(
                Kind::InvalidArgument,
                "mount",
                &mount.destination,
                &format!("file system {other} is not offered"),
            ));
        }
    };
    let destination = mount.destination.clone().into_bytes();
    let from = if mount.source.is_empty() { "what is mounted" } else { &mount.source };
    Ok(Prepared { destination, point, source, from: from.into(), attributes: attributes(mount) })
}

/// A tmpfs of a pod with a user namespace belongs to that namespace's root.
fn tmpfs_options(mount: &Mount, start: &Start) -> String {
    match devices::host_root(start) {
        (0, 0) => mount.data.clone(),
        (uid, gid) => format!("{},uid={uid},gid={gid}", mount.data),
    }
}

/// The terminals' group is given as the container's id.
fn devpts_options(mount: &Mount, start: &Start) -> String {
    let translate = |option: &str| match option.strip_prefix("gid=").and_then(|gid| gid.parse().ok()) {
        Some(gid) => format!("gid={}", devices::map(start, gid, false)),
        None => option.to_owned(),
    };
    mount.data.split(',').map(translate).collect::<Vec<_>>().join(",")
}

/// `/sys/fs/cgroup` where it cannot be a cgroup2 of the container's own namespace.
fn cgroup_mount(mount: &Mount, cgroup: &Cgroup) -> Result<Source> {
    let attributes = attributes(mount);
    if let (true, Some(mount_point)) = (cgroup.is_v2(), cgroup.unified_mount()) {
        return clone_path(mount_point, Reach::Top, attributes).map(Source::Tree);
    }
    let base = filesystem::detached("tmpfs", "mode=0755,size=64k", attributes - MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    let mut hierarchies = Vec::new();
    for (name, dir) in cgroup.v1_mounts() {
        let name = name.to_string_lossy().into_owned();
        mkdirat(&base, &name, Mode::from_raw_mode(0o755)).map_err(|e| failure::kernel("make mount point", &name, e))?;
        hierarchies.push((name, clone_handle(dir, attributes, &mount.destination)?));
    }
    for (link, target) in cgroup.v1_links() {
        symlinkat(target, &base, link).map_err(|e| failure::kernel("make link", link, e))?;
    }
    set_attributes(&base, Reach::Top, attributes, &mount.destination)?;
    Ok(Source::CgroupV1 { base, hierarchies })
}

/// The mount's flags as attributes.
fn attributes(mount: &Mount) -> MountAttrFlags {
    let mut flags = MountAttrFlags::empty();
    for (asked, flag) in [
        (mount.readonly, MountAttrFlags::MOUNT_ATTR_RDONLY),
        (mount.nosuid, MountAttrFlags::MOUNT_ATTR_NOSUID),
        (mount.nodev, MountAttrFlags::MOUNT_ATTR_NODEV),
        (mount.noexec, MountAttrFlags::MOUNT_ATTR_NOEXEC),
    ] {
        flags.set(flag, asked);
    }
    flags
}
