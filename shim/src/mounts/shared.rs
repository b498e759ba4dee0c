// SPDX-License-Identifier: Apache-2.0
//! Mounts of a container inside a volume that shares its mounts with the host.
//!
//! A mount that is attached in such a volume is attached on the host as well, and stays there when the container has
//! ended. So while a mount of the container is attached there, the volume is in no peer group:
//!
//! ```text
//! copy of the volume, in its group ── volume leaves the group ── the mount is put ── volume joins the copy's group
//! ```

use crate::failure::{self, Kind, Result};
use crate::rootfs::Root;
use crate::tree::{Propagation, Reach, clone_peer, set_propagation};
use gorae_kernel::mountinfo::unescape;
use rustix::fs::{AtFlags, StatxFlags};
use rustix::mount::{MoveMountFlags, move_mount};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const TABLE: &str = "/proc/self/mountinfo";

/// Opens the root of the mount that `point` is on; `None` when that mount has no peers.
///
/// # Errors
/// `Internal` when the mount table does not have the mount, or another mount covers it; otherwise the kernel's error.
pub fn top(root: &Root, point: &OwnedFd) -> Result<Option<OwnedFd>> {
    let table = std::fs::read(TABLE).map_err(|e| failure::kernel("read", TABLE, e))?;
    let wanted = mount_id(point)?;
    let line = find(&table, wanted).ok_or_else(|| odd(wanted, "is not in the mount table"))?;
    if !line.is_shared {
        return Ok(None);
    }
    let base = find(&table, mount_id(root)?).map(|line| line.place).unwrap_or_default();
    let place = Path::new(std::ffi::OsStr::from_bytes(&line.place));
    let place = place.strip_prefix(std::ffi::OsStr::from_bytes(&base)).unwrap_or(place);
    let top = root.handle(place.as_os_str().as_bytes());
    let top = top.map_err(|e| failure::kernel("open", place.display().to_string(), e))?;
    // Another mount may cover the same place.
    if mount_id(&top)? == wanted { Ok(Some(top)) } else { Err(odd(wanted, "is covered by another one")) }
}

/// Runs `put` while the mount at `top` is in no peer group.
///
/// # Errors
/// That of `put`; otherwise the kernel's error, with `object`. The mount may then have lost its peers.
pub fn apart(top: &OwnedFd, object: &str, put: impl FnOnce() -> Result<()>) -> Result<()> {
    let copy = clone_peer(top, Reach::Top, object)?;
    set_propagation(top, Reach::Top, Propagation::Private, object)?;
    put()?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH
        | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH
        | MoveMountFlags::MOVE_MOUNT_SET_GROUP;
    move_mount(&copy, "", top, "", flags).map_err(|e| failure::kernel("set propagation", object, e))
}

/// One line of the mount table.
struct Line {
    place: Vec<u8>,
    is_shared: bool,
}

/// Finds the line of a mount.
///
/// - Source: proc_pid_mountinfo(5).
fn find(table: &[u8], id: u64) -> Option<Line> {
    let words = table.split(|b| *b == b'\n').map(|line| line.split(|b| *b == b' '));
    let mut words = words.into_iter().find(|words| words.clone().next() == Some(id.to_string().as_bytes()))?;
    let place = unescape(words.nth(4)?);
    let is_shared = words.skip(1).take_while(|word| *word != b"-").any(|word| word.starts_with(b"shared:"));
    Some(Line { place, is_shared })
}

fn mount_id(fd: impl AsFd) -> Result<u64> {
    rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)
        .map(|stat| stat.stx_mnt_id)
        .map_err(|e| failure::kernel("statx", "mount point", e))
}

fn odd(id: u64, why: &str) -> failure::Failure {
    failure::refused(Kind::Internal, "set propagation", format!("mount {id}"), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_found_by_its_number_with_its_place_and_whether_it_has_peers() {
        let table = b"36 35 98:0 / /mnt/a\\040b\\134c rw shared:5 master:1 - ext4 /dev/a rw\n\
            6 35 0:9 / /own rw,x master:3 - tmpfs shared:9 rw\n";
        let found = |id| find(table, id).map(|line| (String::from_utf8(line.place).unwrap(), line.is_shared));
        assert_eq!(found(36), Some(("/mnt/a b\\c".to_owned(), true)));
        assert_eq!(found(6), Some(("/own".to_owned(), false)));
        assert_eq!(found(3), None);
    }
}
