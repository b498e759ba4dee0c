// SPDX-License-Identifier: Apache-2.0
//! The mounts of a container.

use crate::namespaces::IdMaps;
use std::borrow::Cow;
use std::path::PathBuf;

/// A mount.
#[derive(Debug, Clone)]
pub struct Mount<'a> {
    /// The mount point inside the root: absolute and clean.
    pub destination: String,
    /// What is mounted.
    pub source: Source<'a>,
    /// How it can be accessed.
    pub attributes: Attributes,
}

/// What is mounted.
#[derive(Debug, Clone)]
pub enum Source<'a> {
    /// A file or directory of the node.
    Bind(Bind),
    /// A volume that the image declares: the container's own directory, filled from the image when the container starts.
    Volume {
        /// The directory, below the container's own directory; absolute.
        path: String,
        /// How its owners appear inside; `None`: unchanged.
        id_maps: Option<IdMaps>,
    },
    /// The layers of an image, read-only.
    Image(ImageVolume<'a>),
    /// A new file system in memory.
    Tmpfs {
        /// Its options, separated by commas.
        options: Cow<'static, str>,
    },
    /// procfs: the processes of the container's PID namespace.
    Proc,
    /// sysfs: the kernel's objects, including those of the container's network namespace.
    Sysfs,
    /// A new devpts instance.
    Devpts {
        /// Its options, separated by commas; a gid is one inside the container.
        options: Cow<'static, str>,
    },
    /// The message queues of the IPC namespace.
    Mqueue,
    /// The container's own cgroups.
    Cgroup,
}

/// A file or directory of the node.
#[derive(Debug, Clone)]
pub struct Bind {
    /// Its path on the node; absolute, symlinks are followed.
    pub path: String,
    /// Whether mounts below it are included.
    pub recursive: bool,
    /// Mount propagation.
    pub propagation: Propagation,
    /// How the owners appear inside; `None`: unchanged.
    pub id_maps: Option<IdMaps>,
    /// Whether a missing source is made as a directory.
    pub make_missing: bool,
}

/// An image's layers, mounted as a volume.
#[derive(Debug, Clone)]
pub struct ImageVolume<'a> {
    /// Directories of the layers, the top one first; absolute.
    pub layers: &'a [PathBuf],
    /// The file or directory of the image that is shown; `None`: its root.
    pub path: Option<&'a str>,
}

/// Access restrictions of a mount. The default is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Whether it is writable.
    pub access: Access,
    /// Set-user-id and set-group-id bits are ignored.
    pub nosuid: bool,
    /// Device nodes cannot be opened.
    pub nodev: bool,
    /// Programs cannot be executed.
    pub noexec: bool,
}

/// Whether a mount is writable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Access {
    /// It is writable.
    #[default]
    ReadWrite,
    /// It is read-only; mounts below it stay as they are.
    ReadOnly,
    /// It is read-only, and so are all mounts below it.
    ReadOnlyBelow,
}

/// Whether later mounts on one side appear on the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Propagation {
    /// They do not.
    #[default]
    Private,
    /// Mounts of the node appear in the container.
    Slave,
    /// Mounts appear in both directions.
    Shared,
}

impl Mount<'_> {
    /// Depth of the mount point, in components.
    pub fn depth(&self) -> usize {
        self.destination.matches('/').count()
    }
}

impl Bind {
    /// Binds a path of the node with the mounts that are below it now.
    pub fn of(path: impl Into<String>) -> Self {
        let path = path.into();
        Self { path, recursive: true, propagation: Propagation::Private, id_maps: None, make_missing: false }
    }
}

impl Attributes {
    /// No set-user-id bits, no devices, no programs.
    pub const QUIET: Self = Self { access: Access::ReadWrite, nosuid: true, nodev: true, noexec: true };
}
