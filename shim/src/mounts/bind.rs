// SPDX-License-Identifier: Apache-2.0
//! Host directories and files as detached binds, with attributes and propagation set before anyone sees them.

use super::idmap;
use crate::failure::{self, Kind, Result};
use crate::rootfs::{Point, is_dir};
use crate::tree::{self, Reach};
use crate::wire::{IdMap, Mount, mount::Propagation};
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};

/// A detached bind.
#[derive(Debug)]
pub struct Bind {
    /// The cloned tree.
    pub tree: OwnedFd,
    /// What it needs to stand on.
    pub point: Point,
}

/// Opens, checks and clones a bind source. `user_namespace` finds one with given maps.
///
/// - Errors: `NotFound` when it is missing and must not be made; `FailedPrecondition` when the source's mount cannot
///   propagate as asked.
pub fn prepare(mount: &Mount, user_namespace: impl Fn(&[IdMap], &[IdMap]) -> Result<OwnedFd>) -> Result<Bind> {
    let source = open_source(mount)?;
    let point = if is_dir(&source) { Point::Directory } else { Point::File };
    check_propagation(mount, &source)?;
    let reach = if mount.recursive_bind { Reach::All } else { Reach::Top };
    let tree = tree::clone_peer(&source, reach, &mount.source)?;
    if !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() {
        let user_namespace = user_namespace(&mount.uid_mappings, &mount.gid_mappings)?;
        idmap::set(&tree, user_namespace.as_fd(), reach, &mount.source)?;
    }
    match mount.propagation() {
        Propagation::Private => {
            tree::set_propagation(&tree, Reach::All, tree::Propagation::Private, &mount.source)?;
        }
        Propagation::Slave => tree::set_propagation(&tree, Reach::All, tree::Propagation::Slave, &mount.source)?,
        // The clone is in the source's peer group already.
        Propagation::Shared => {}
    }
    let reach = if mount.recursive_readonly { Reach::All } else { Reach::Top };
    tree::set_attributes(&tree, reach, super::attributes(mount), &mount.source)?;
    Ok(Bind { tree, point })
}

fn open_source(mount: &Mount) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    // As a directory first: asked for a mere handle, the kernel leaves an automount point as it is, empty.
    let open = || match rustix::fs::open(&mount.source, flags | OFlags::DIRECTORY, Mode::empty()) {
        Err(rustix::io::Errno::NOTDIR) => rustix::fs::open(&mount.source, flags, Mode::empty()),
        other => other,
    };
    let source = match open() {
        Err(rustix::io::Errno::NOENT) if mount.create_source => {
            fs::create_dir_all(&mount.source).map_err(|e| failure::kernel("make mount source", &mount.source, e))?;
            open()
        }
        other => other,
    };
    source.map_err(|e| failure::kernel("open mount source", &mount.source, e))
}

/// What the source's mount must be on the host for the asked propagation to mean anything.
fn check_propagation(mount: &Mount, source: &OwnedFd) -> Result<()> {
    let (fits, why): (fn(&str) -> bool, _) = match mount.propagation() {
        Propagation::Private => return Ok(()),
        Propagation::Slave => {
            (|tag| tag.starts_with("shared:") || tag.starts_with("master:"), "not on a shared or slave mount")
        }
        Propagation::Shared => (|tag| tag.starts_with("shared:"), "not on a shared mount"),
    };
    let stat = rustix::fs::statx(source, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)
        .map_err(|e| failure::kernel("statx", &mount.source, e))?;
    let table =
        fs::read_to_string("/proc/self/mountinfo").map_err(|e| failure::kernel("read", "/proc/self/mountinfo", e))?;
    let id = stat.stx_mnt_id.to_string();
    let line = table.lines().find(|line| line.split(' ').next() == Some(&id)).unwrap_or_default();
    let mut tags = line.split(' ').skip(6).take_while(|tag| *tag != "-");
    if tags.any(fits) {
        return Ok(());
    }
    Err(failure::refused(Kind::FailedPrecondition, "propagate mount", &mount.source, why))
}
