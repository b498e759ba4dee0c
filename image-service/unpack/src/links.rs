// SPDX-License-Identifier: Apache-2.0
//! Places members without data: hard links, symbolic links, devices and FIFOs.

use crate::beneath;
use crate::error::Error;
use crate::member::Member;
use crate::meta;
use crate::refusal::{Refusal, shown};
use crate::tree::Tree;
use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno;
use std::os::fd::{AsFd as _, OwnedFd};

/// Longest symlink target that file systems accept, in bytes.
const MAX_TARGET: usize = 4095;

/// What a device or a FIFO is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    kind: FileType,
    major: u32,
    minor: u32,
}

impl Node {
    /// A FIFO.
    pub const FIFO: Self = Self { kind: FileType::Fifo, major: 0, minor: 0 };

    /// A character device.
    pub fn character(major: u32, minor: u32) -> Self {
        Self { kind: FileType::CharacterDevice, major, minor }
    }

    /// A block device.
    pub fn block(major: u32, minor: u32) -> Self {
        Self { kind: FileType::BlockDevice, major, minor }
    }
}

impl Tree {
    /// Adds a name to an earlier member.
    ///
    /// # Errors
    /// See [`Tree::place`].
    pub fn place_hardlink(&mut self, member: &Member, at: &OwnedFd, name: &[u8], target: &[u8]) -> Result<(), Error> {
        let target = self.components(target)?;
        let Some((&target_name, target_parent)) = target.split_last() else {
            return Err(member.refused("a hard link to the layer's root"));
        };
        let absent = || {
            let path = shown(&target.join(&b'/'));
            let why = format!(
                "a hard link to {path:?}, which is not in this layer: a file of a lower layer cannot be linked to. Build \
                 the image again so that the layer contains the file itself"
            );
            member.refused(&why)
        };
        let target_at = match self.existing(target_parent) {
            Err(Errno::NOENT) => return Err(absent()),
            other => other.map_err(|errno| member.failed(errno))?,
        };
        let status = |at: &OwnedFd, name| beneath::status(at, name).map_err(|errno| member.failed(errno));
        let found = status(&target_at.handle, target_name)?.ok_or_else(absent)?;
        if beneath::is_directory(&found) {
            return Err(member.refused("a hard link to a directory"));
        }
        if let Some(present) = status(at, name)? {
            if (present.st_dev, present.st_ino) == (found.st_dev, found.st_ino) {
                return Ok(());
            }
            self.remove(at, name).map_err(|errno| member.failed(errno))?;
        }
        rustix::fs::linkat(&target_at.handle, target_name, at, name, AtFlags::empty())
            .map_err(|errno| member.failed(errno))
    }

    /// Creates a symbolic link.
    ///
    /// # Errors
    /// See [`Tree::place`].
    pub fn place_symlink(&mut self, member: &Member, at: &OwnedFd, name: &[u8], target: &[u8]) -> Result<(), Error> {
        if target.len() > MAX_TARGET || target.contains(&0) {
            return Err(member.refused("its link target is not a path"));
        }
        // The target is only text here; it is resolved inside the container.
        let mut place = || -> Result<(), Refusal> {
            self.remove(at, name)?;
            rustix::fs::symlinkat(target, at, name)?;
            self.bounds.count_node();
            meta::apply_to_symlink(at.as_fd(), name, member)
        };
        place().map_err(|errno| member.failed(errno))
    }

    /// Creates a device or a FIFO.
    ///
    /// # Errors
    /// See [`Tree::place`].
    pub fn place_node(&mut self, member: &Member, at: &OwnedFd, name: &[u8], node: Node) -> Result<(), Error> {
        let Node { kind, major, minor } = node;
        let mut place = || -> Result<(), Refusal> {
            self.remove(at, name)?;
            rustix::fs::mknodat(at, name, kind, Mode::from_raw_mode(0o600), rustix::fs::makedev(major, minor))?;
            self.bounds.count_node();
            meta::apply_to_node(at.as_fd(), name, member)
        };
        place().map_err(|errno| member.failed(errno))
    }
}
