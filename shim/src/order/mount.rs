// SPDX-License-Identifier: Apache-2.0
//! One mount of a container, checked: its content and its destination.

use super::rootfs::layers;
use crate::idmap::IdMaps;
use crate::malformed::{Malformed, Result, absolute};
use crate::tree::{Propagation, Reach};
use crate::wire;
use rustix::mount::MountAttrFlags;

/// A mount to be made.
#[derive(Debug)]
pub struct Mount {
    /// Its path in the container: absolute, and not the root itself.
    pub destination: String,
    /// Its attributes.
    pub attributes: MountAttrFlags,
    /// What is mounted.
    pub what: What,
}

/// The content of a mount. Options are comma-separated, as in mount(8).
#[derive(Debug)]
pub enum What {
    /// A file or directory of the host.
    Bind(Bind),
    /// A directory of the container's own, initially filled with what the image has at the destination.
    Volume(Bind),
    /// An image, or a path in it.
    Image(Image),
    /// An empty file system.
    Tmpfs(String),
    /// An empty file system at `/dev`, which gets the container's devices.
    Dev(String),
    /// The container's terminals.
    Devpts(String),
    /// The container's cgroups.
    Cgroup,
    /// The processes of the container's PID namespace.
    Proc(String),
    /// A file system that shows another of the container's namespaces: its name and options.
    Kernel(&'static str, String),
}

/// A file or directory of the host.
#[derive(Debug)]
pub struct Bind {
    /// Its path on the host.
    pub source: String,
    /// Whether the mounts below it are bound as well.
    pub reach: Reach,
    /// How far the mount's attributes reach.
    pub attributes_reach: Reach,
    /// Whether it is created as a directory if it is missing.
    pub create_source: bool,
    /// How mounts propagate between it and the host.
    pub propagation: Propagation,
    /// How the ids of owners in it are mapped.
    pub ids: Option<IdMaps>,
}

/// An image as a volume.
#[derive(Debug)]
pub struct Image {
    /// Its layers, the topmost first; at least one.
    pub layers: Vec<String>,
    /// The path in it to mount, without slashes at its ends; empty: the whole image.
    pub path: String,
}

impl Mount {
    /// Checks the message.
    ///
    /// # Errors
    /// For an invalid destination, kind, source, propagation or id map.
    pub fn checked(mut mount: wire::Mount) -> Result<Self> {
        let destination = absolute("destination", std::mem::take(&mut mount.destination))?;
        if destination.bytes().all(|b| b == b'/') {
            return Err(Malformed::new("destination", "the root itself cannot be mounted over"));
        }
        let is_dev = destination.trim_end_matches('/') == "/dev";
        let (attributes, data) = (attributes(&mount), std::mem::take(&mut mount.data));
        let what = match mount.filesystem.as_str() {
            "bind" => What::Bind(Bind::checked(mount)?),
            "volume" => What::Volume(Bind::checked(mount)?),
            "image" => What::Image(Image::checked(mount)?),
            "tmpfs" if is_dev => What::Dev(data),
            "tmpfs" => What::Tmpfs(data),
            "devpts" => What::Devpts(data),
            "cgroup" => What::Cgroup,
            "proc" => What::Proc(data),
            "sysfs" => What::Kernel("sysfs", data),
            "mqueue" => What::Kernel("mqueue", data),
            other => return Err(Malformed::new("filesystem", format!("{other:?} is not supported"))),
        };
        Ok(Self { destination, attributes, what })
    }
}

impl Bind {
    fn checked(mount: wire::Mount) -> Result<Self> {
        let propagation = match wire::mount::Propagation::try_from(mount.propagation) {
            Ok(wire::mount::Propagation::Private) => Propagation::Private,
            Ok(wire::mount::Propagation::Slave) => Propagation::Slave,
            Ok(wire::mount::Propagation::Shared) => Propagation::Shared,
            Err(_) => {
                let why = format!("{} is not a kind of propagation", mount.propagation);
                return Err(Malformed::new("propagation", why));
            }
        };
        let reach = |all: bool| if all { Reach::All } else { Reach::Top };
        Ok(Self {
            source: absolute("source", mount.source)?,
            reach: reach(mount.recursive_bind),
            attributes_reach: reach(mount.recursive_readonly),
            create_source: mount.create_source,
            propagation,
            ids: IdMaps::of_mount(mount.uid_mappings, mount.gid_mappings)?,
        })
    }
}

impl Image {
    /// Checks the image fields of the message.
    ///
    /// # Errors
    /// For an image without layers, and for an invalid path.
    pub fn checked(mount: wire::Mount) -> Result<Self> {
        if mount.source_layer_path.contains('\0') {
            return Err(Malformed::new("source_layer_path", "contains a NUL byte"));
        }
        let layers = layers("image_layers", mount.image_layers)?;
        Ok(Self { layers, path: mount.source_layer_path.trim_matches('/').to_owned() })
    }
}

fn attributes(mount: &wire::Mount) -> MountAttrFlags {
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
