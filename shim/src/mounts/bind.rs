// SPDX-License-Identifier: Apache-2.0
//! Host directories and files as detached binds, with attributes and propagation set before anyone sees them.

use crate::failure::{self, Kind, Result};
use crate::idmap::{self, UserNamespace};
use crate::order::Bind;
use crate::rootfs::{Point, is_dir};
use crate::tree::{Propagation, Reach, clone_peer, set_attributes, set_propagation};
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};

/// A detached bind.
#[derive(Debug)]
pub struct Detached {
    /// The cloned tree.
    pub tree: OwnedFd,
    /// What it needs as a mount point.
    pub point: Point,
}

/// Opens, checks and clones a bind source. `maps` returns the user namespace that translates its owners.
///
/// # Errors
/// `NotFound` when it is missing and must not be created; `FailedPrecondition` when the source's mount cannot propagate
/// as requested.
pub fn prepare<'a>(
    bind: &Bind,
    attributes: MountAttrFlags,
    maps: impl FnOnce() -> Result<Option<UserNamespace<'a>>>,
) -> Result<Detached> {
    let source = open_source(bind)?;
    let point = if is_dir(&source) { Point::Directory } else { Point::File };
    check_propagation(bind, &source)?;
    let tree = clone_peer(&source, bind.reach, &bind.source)?;
    if let Some(user_namespace) = maps()? {
        idmap::set(&tree, user_namespace.as_fd(), bind.reach, &bind.source)?;
    }
    // The clone of a mount that is to be shared is already in the source's peer group.
    if bind.propagation != Propagation::Shared {
        set_propagation(&tree, Reach::All, bind.propagation, &bind.source)?;
    }
    set_attributes(&tree, bind.attributes_reach, attributes, &bind.source)?;
    Ok(Detached { tree, point })
}

fn open_source(bind: &Bind) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    // As a directory first: for a plain O_PATH handle the kernel does not trigger an automount point, and it stays
    // empty.
    let open = || match rustix::fs::open(&bind.source, flags | OFlags::DIRECTORY, Mode::empty()) {
        Err(Errno::NOTDIR) => rustix::fs::open(&bind.source, flags, Mode::empty()),
        other => other,
    };
    let source = match open() {
        Err(Errno::NOENT) if bind.create_source => {
            fs::create_dir_all(&bind.source).map_err(|e| failure::kernel("make mount source", &bind.source, e))?;
            open()
        }
        other => other,
    };
    source.map_err(|e| failure::kernel("open mount source", &bind.source, e))
}

/// Checks that the source's mount on the host makes the requested propagation possible.
fn check_propagation(bind: &Bind, source: &OwnedFd) -> Result<()> {
    let (fits, why): (fn(&str) -> bool, _) = match bind.propagation {
        Propagation::Private => return Ok(()),
        Propagation::Slave => {
            (|tag| tag.starts_with("shared:") || tag.starts_with("master:"), "not on a shared or slave mount")
        }
        Propagation::Shared => (|tag| tag.starts_with("shared:"), "not on a shared mount"),
    };
    let stat = rustix::fs::statx(source, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)
        .map_err(|e| failure::kernel("statx", &bind.source, e))?;
    let table =
        fs::read_to_string("/proc/self/mountinfo").map_err(|e| failure::kernel("read", "/proc/self/mountinfo", e))?;
    let id = stat.stx_mnt_id.to_string();
    let line = table.lines().find(|line| line.split(' ').next() == Some(&id)).unwrap_or_default();
    let mut tags = line.split(' ').skip(6).take_while(|tag| *tag != "-");
    if tags.any(fits) {
        return Ok(());
    }
    Err(failure::refused(Kind::FailedPrecondition, "propagate mount", &bind.source, why))
}
