// SPDX-License-Identifier: Apache-2.0
//! Mounts whose file owners are translated by a user namespace's maps.

use crate::descriptor::duplicate;
use crate::failure::{self, Kind, Result};
use crate::sys::{self, Forked, MountAttr, Single};
use crate::tree::Reach;
use crate::wire::{IdMap, Start};
use rustix::fs::{Mode, OFlags};
use rustix::mount::MountAttrFlags;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Translates the owners on a detached mount (and those below) by `user_namespace`'s maps.
///
/// - Errors: `Unimplemented` when the file system there cannot be id-mapped.
pub fn set(tree: &OwnedFd, user_namespace: BorrowedFd<'_>, reach: Reach, object: &str) -> Result<()> {
    let attr = MountAttr {
        set: u64::from(MountAttrFlags::MOUNT_ATTR_IDMAP.bits()),
        user_namespace: Some(user_namespace),
        recursive: reach == Reach::All,
        ..MountAttr::default()
    };
    sys::mount_setattr(tree.as_fd(), attr).map_err(|e| {
        let mut failure = failure::kernel("map ids of mount", object, e);
        if failure.errno == libc::EINVAL {
            failure.kind = Kind::Unimplemented.into();
        }
        failure
    })
}

/// A user namespace with these maps: the pod's when they are its own, else one made for the purpose.
pub fn namespace(
    start: &Start,
    pin: Option<BorrowedFd<'_>>,
    uids: &[IdMap],
    gids: &[IdMap],
    single: Single,
) -> Result<OwnedFd> {
    let is_pods = start.user_mapping.as_ref().is_some_and(|m| m.uids == uids && m.gids == gids);
    match pin {
        Some(pin) if is_pods => duplicate(pin, "user namespace"),
        _ => make(uids, gids, single),
    }
}

/// A child that only stands in a new user namespace until its maps are written and the namespace is opened.
fn make(uids: &[IdMap], gids: &[IdMap], single: Single) -> Result<OwnedFd> {
    let forked = sys::clone3(single, libc::CLONE_NEWUSER as u64, None);
    let (pid, pidfd) = match forked.map_err(|e| failure::kernel("clone3", "user namespace", e))? {
        Forked::Parent { pid, pidfd } => (pid, pidfd),
        Forked::Child(_) => sys::wait_for_death(),
    };
    let namespace = write_maps(pid, uids, gids).and_then(|()| {
        let path = format!("/proc/{pid}/ns/user");
        rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| failure::kernel("open", path, e))
    });
    let _ = sys::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
    let _ =
        rustix::process::waitid(rustix::process::WaitId::PidFd(pidfd.as_fd()), rustix::process::WaitIdOptions::EXITED);
    namespace
}

fn write_maps(pid: i32, uids: &[IdMap], gids: &[IdMap]) -> Result<()> {
    for (file, maps) in [("uid_map", uids), ("gid_map", gids)] {
        let path = format!("/proc/{pid}/{file}");
        let lines: Vec<String> =
            maps.iter().map(|m| format!("{} {} {}", m.container_id, m.host_id, m.length)).collect();
        fs::write(&path, lines.join("\n")).map_err(|e| failure::kernel("write", path, e))?;
    }
    Ok(())
}
