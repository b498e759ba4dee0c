// SPDX-License-Identifier: Apache-2.0
//! What is in the container's /dev.
//!
//! It is filled while it is still a detached tmpfs, through its own descriptor: no name of the image takes part
//! (CVE-2026-41579 class), the container's device policy is not in the way, and inside a user namespace the nodes
//! work because the file system belongs to the host's.

use crate::failure::{self, Kind, Result};
use crate::rootfs::{Point, Root, is_node};
use crate::user::User;
use crate::wire::{Device, DeviceRule, Start};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Uid, chownat, makedev, mkdirat, mknodat, symlinkat};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// Every container's character devices: name, major, minor.
const ALWAYS: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Every container's links.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Fills a detached /dev.
pub fn populate(dev: &OwnedFd, start: &Start) -> Result<()> {
    let umask = rustix::process::umask(Mode::empty());
    let filled = fill(dev, start);
    rustix::process::umask(umask);
    filled
}

fn fill(dev: &OwnedFd, start: &Start) -> Result<()> {
    // First: what was asked for takes the place of what every container has.
    for device in &start.devices {
        if let Some(name) = below_dev(&device.path) {
            make_parents(dev, name)?;
            let owner = (map(start, device.uid, true), map(start, device.gid, false));
            make_node(dev, name, kind(device)?, device.mode, (device.major, device.minor), owner)?;
        }
    }
    for (name, major, minor) in ALWAYS {
        match make_node(dev, name, FileType::CharacterDevice, 0o666, (major, minor), host_root(start)) {
            Err(e) if e.kind() == Kind::AlreadyExists => {}
            other => other?,
        }
    }
    for (name, target) in LINKS {
        match symlinkat(target, dev, name) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failure::kernel("make link", format!("/dev/{name}"), e)),
        }
    }
    Ok(())
}

/// The request's rules with those that every container needs: its own default devices, consoles and terminals, and
/// making (not opening) any node. An empty list stays empty: no policy.
pub fn with_always_allowed(rules: &[DeviceRule]) -> Vec<DeviceRule> {
    if rules.is_empty() {
        return Vec::new();
    }
    let rule = |kind: &str, major: i64, minor: i64, access: &str| DeviceRule {
        allow: true,
        kind: kind.into(),
        major,
        minor,
        access: access.into(),
    };
    let mut all = rules.to_vec();
    all.extend([rule("c", -1, -1, "m"), rule("b", -1, -1, "m"), rule("c", 136, -1, "rwm")]);
    all.extend([1, 2].map(|minor| rule("c", 5, minor, "rwm")));
    all.extend(ALWAYS.map(|(_, major, minor)| rule("c", major.into(), minor.into(), "rwm")));
    all
}

/// Makes the devices that are not in our own /dev, inside the root. A node that is there already and is the very
/// device is fine.
pub fn make_elsewhere(root: &Root, devices: &[Device], own_dev: bool) -> Result<()> {
    for device in devices.iter().filter(|d| !own_dev || below_dev(&d.path).is_none()) {
        let (parent, name) = device.path.rsplit_once('/').unwrap_or(("", &device.path));
        let dir = root.make(parent.as_bytes(), Point::Directory)?;
        let (number, owner) = ((device.major, device.minor), (device.uid, device.gid));
        let umask = rustix::process::umask(Mode::empty());
        let made = make_node(&dir, name, kind(device)?, device.mode, number, owner);
        rustix::process::umask(umask);
        match made {
            Err(e) if e.kind() == Kind::AlreadyExists => {
                let there =
                    root.handle(device.path.as_bytes()).map_err(|e| failure::kernel("open", &device.path, e))?;
                if !is_node(&there, kind(device)?, number) {
                    return Err(e);
                }
            }
            other => other?,
        }
    }
    Ok(())
}

fn below_dev(path: &str) -> Option<&str> {
    let name = path.strip_prefix("/dev/")?;
    (!name.is_empty() && name.split('/').all(|part| !matches!(part, "" | "." | ".."))).then_some(name)
}

fn kind(device: &Device) -> Result<FileType> {
    match device.kind.as_str() {
        "c" | "u" => Ok(FileType::CharacterDevice),
        "b" => Ok(FileType::BlockDevice),
        "p" => Ok(FileType::Fifo),
        other => {
            let why = format!("{other:?} is no kind of device");
            Err(failure::refused(Kind::InvalidArgument, "make device", &device.path, &why))
        }
    }
}

fn make_parents(dev: &OwnedFd, name: &str) -> Result<()> {
    for (at, _) in name.match_indices('/') {
        match mkdirat(dev, &name[..at], Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failure::kernel("make directory", format!("/dev/{}", &name[..at]), e)),
        }
    }
    Ok(())
}

/// Makes one node; its mode is exact because the callers have cleared the umask.
fn make_node(
    dir: impl AsFd,
    name: &str,
    kind: FileType,
    mode: u32,
    number: (u32, u32),
    owner: (u32, u32),
) -> Result<()> {
    let fail = |e| failure::kernel("make device", name, e);
    mknodat(&dir, name, kind, Mode::from_raw_mode(mode & 0o7777), makedev(number.0, number.1)).map_err(fail)?;
    if owner == (0, 0) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
    chownat(&dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).map_err(fail)
}

/// The host's ids of the container's root.
pub fn host_root(start: &Start) -> (u32, u32) {
    (map(start, 0, true), map(start, 0, false))
}

/// The host's id for an id in the container.
pub fn map(start: &Start, id: u32, is_uid: bool) -> u32 {
    let Some(mapping) = &start.user_mapping else { return id };
    let maps = if is_uid { &mapping.uids } else { &mapping.gids };
    maps.iter()
        .find(|m| id >= m.container_id && id - m.container_id < m.length)
        .map_or(id, |m| m.host_id + (id - m.container_id))
}

/// Fills in the owner of those devices that belong to the container's process.
pub fn give_to_process(devices: &mut [Device], user: &User) {
    for device in devices {
        if device.process_uid {
            device.uid = user.uid;
        }
        if device.process_gid {
            device.gid = user.gid;
        }
    }
}

/// Opens the host's null device for the shim itself. Containers get it from [`crate::null`].
pub fn open_null() -> Result<OwnedFd> {
    use rustix::fs::{OFlags, openat};
    openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| failure::kernel("open", "/dev/null", e))
}
