// SPDX-License-Identifier: Apache-2.0
//! What is mounted in a container.

use crate::namespaces::IdMaps;
use std::borrow::Cow;
use std::path::PathBuf;

/// A mount.
#[derive(Debug, Clone)]
pub struct Mount<'a> {
    /// Where it goes inside the root: absolute and clean.
    pub destination: String,
    /// What is mounted.
    pub source: Source<'a>,
    /// How it can be used.
    pub attributes: Attributes,
}

/// What is mounted.
#[derive(Debug, Clone)]
pub enum Source<'a> {
    /// A file or directory of the node.
    Bind(Bind),
    /// A directory of the container's own, filled from the image when the container starts: a volume that the image
    /// declares.
    Volume {
        /// The directory, below the container's own; absolute.
        path: String,
        /// The ids of its owners inside; `None`: as they are.
        id_maps: Option<IdMaps>,
    },
    /// The layers of an image, read-only.
    Image(ImageVolume<'a>),
    /// A new file system in memory.
    Tmpfs {
        /// Its options, parted by commas.
        options: Cow<'static, str>,
    },
    /// The processes of the container's process namespace.
    Proc,
    /// The kernel's objects, those of the container's network namespace among them.
    Sysfs,
    /// New terminals.
    Devpts {
        /// Its options, parted by commas; a group is an id inside.
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
    /// Where it is on the node; absolute, links are followed.
    pub path: String,
    /// Whether what is mounted below comes along.
    pub recursive: bool,
    /// Whether mounts that are made later are seen on the other side.
    pub propagation: Propagation,
    /// The ids of the owners inside; `None`: as they are.
    pub id_maps: Option<IdMaps>,
    /// Whether a directory is made there when there is nothing.
    pub make_missing: bool,
}

/// Layers of an image as a volume.
#[derive(Debug, Clone)]
pub struct ImageVolume<'a> {
    /// Directories of the layers, the top one first; absolute.
    pub layers: &'a [PathBuf],
    /// The file or directory of the image that is shown; `None`: its root.
    pub path: Option<&'a str>,
}

/// How a mount can be used. The default is: in every way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Whether it can be written to.
    pub access: Access,
    /// Set-user-id bits count for nothing.
    pub nosuid: bool,
    /// Device nodes cannot be opened.
    pub nodev: bool,
    /// Programs cannot be run.
    pub noexec: bool,
}

/// Whether a mount can be written to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Access {
    /// It can.
    #[default]
    ReadWrite,
    /// It cannot; what is mounted below it can, if it could before.
    ReadOnly,
    /// Nor can anything that is mounted below.
    ReadOnlyBelow,
}

/// Whether mounts that are made on one side later are seen on the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Propagation {
    /// No.
    #[default]
    Private,
    /// Those of the node in the container.
    Slave,
    /// Both ways.
    Shared,
}

impl Mount<'_> {
    /// How deep its place is.
    pub fn depth(&self) -> usize {
        self.destination.matches('/').count()
    }
}

impl Bind {
    /// A path of the node with all that is mounted below, as it is now.
    pub fn of(path: impl Into<String>) -> Self {
        let path = path.into();
        Self { path, recursive: true, propagation: Propagation::Private, id_maps: None, make_missing: false }
    }
}

impl Attributes {
    /// No set-user-id bits, no devices, no programs.
    pub const QUIET: Self = Self { access: Access::ReadWrite, nosuid: true, nodev: true, noexec: true };
}
