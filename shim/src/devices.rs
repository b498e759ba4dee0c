// SPDX-License-Identifier: Apache-2.0
//! The content of the container's /dev.
//!
//! It is filled through its own descriptor while it is still a detached tmpfs. So no path of the image is involved
//! (CVE-2026-41579 class), the container's device policy does not get in the way, and with a user namespace the nodes
//! work because the file system belongs to the host's namespace.

use crate::device_policy::{ALL_ACCESS, DeviceKind, Rule};
use crate::failure::{self, Kind, Result};
use crate::idmap::IdMaps;
use crate::malformed::{self, Malformed, absolute};
use crate::rootfs::{Point, Root, is_node};
use crate::user::User;
use crate::wire;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Uid, chownat, makedev, mkdirat, mknodat, symlinkat};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// A device node to create.
#[derive(Debug)]
pub struct Device {
    path: String,
    kind: FileType,
    /// Major and minor.
    number: (u32, u32),
    mode: Mode,
    uid: Owner,
    gid: Owner,
}

/// The owner of a node.
#[derive(Debug, Clone, Copy)]
enum Owner {
    /// An id in the container.
    Id(u32),
    /// The id of the container's process.
    Process,
}

impl Owner {
    fn new(id: u32, is_process: bool) -> Self {
        if is_process { Self::Process } else { Self::Id(id) }
    }

    fn id(self, process: u32) -> u32 {
        match self {
            Self::Id(id) => id,
            Self::Process => process,
        }
    }
}

impl Device {
    /// Checks the message.
    ///
    /// # Errors
    /// For an invalid path, kind or mode.
    pub fn checked(device: wire::Device) -> malformed::Result<Self> {
        let kind = match device.kind.as_str() {
            "c" | "u" => FileType::CharacterDevice,
            "b" => FileType::BlockDevice,
            "p" => FileType::Fifo,
            other => return Err(Malformed::new("kind", format!("{other:?} is not a kind of device"))),
        };
        if device.mode > 0o7777 {
            return Err(Malformed::new("mode", format!("{:#o} has bits other than permissions", device.mode)));
        }
        Ok(Self {
            path: absolute("path", device.path)?,
            kind,
            number: (device.major, device.minor),
            mode: Mode::from_raw_mode(device.mode),
            uid: Owner::new(device.uid, device.process_uid),
            gid: Owner::new(device.gid, device.process_gid),
        })
    }

    fn owner(&self, user: &User) -> (u32, u32) {
        (self.uid.id(user.uid), self.gid.id(user.gid))
    }

    fn node<'a>(&self, name: &'a str, owner: (u32, u32)) -> Node<'a> {
        Node { name, kind: self.kind, mode: self.mode, number: self.number, owner }
    }
}

/// The arguments of mknod(2), and the owner as ids of the process that creates the node.
struct Node<'a> {
    name: &'a str,
    kind: FileType,
    mode: Mode,
    number: (u32, u32),
    owner: (u32, u32),
}

/// The character devices of every container: name, major, minor.
const ALWAYS: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// The links of every container.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Fills a detached /dev; `user` is the user of the container's process.
///
/// # Errors
/// The kernel's error, with the name.
pub fn populate(dev: &OwnedFd, devices: &[Device], user: &User, ids: &IdMaps) -> Result<()> {
    let umask = rustix::process::umask(Mode::empty());
    let filled = fill(dev, devices, user, ids);
    rustix::process::umask(umask);
    filled
}

fn fill(dev: &OwnedFd, devices: &[Device], user: &User, ids: &IdMaps) -> Result<()> {
    // First the requested devices, which override those that every container has.
    for device in devices {
        if let Some(name) = below_dev(&device.path) {
            make_parents(dev, name)?;
            let (uid, gid) = device.owner(user);
            make_node(dev, &device.node(name, (ids.host_uid(uid), ids.host_gid(gid))))?;
        }
    }
    let (kind, mode, owner) = (FileType::CharacterDevice, Mode::from_raw_mode(0o666), ids.host_root());
    for (name, major, minor) in ALWAYS {
        match make_node(dev, &Node { name, kind, mode, number: (major, minor), owner }) {
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

/// Adds the rules that every container needs: its default devices, consoles and terminals, and creating (not opening)
/// any node. An empty list stays empty: no policy.
pub fn with_always_allowed(rules: &[Rule]) -> Vec<Rule> {
    const MAKE: u32 = 1;
    if rules.is_empty() {
        return Vec::new();
    }
    let make = |kind| Rule::allowing(kind, None, None, MAKE);
    let all_of = |major, minor| Rule::allowing(DeviceKind::Character, Some(major), minor, ALL_ACCESS);
    let mut all = rules.to_vec();
    all.extend([make(DeviceKind::Character), make(DeviceKind::Block), all_of(136, None)]);
    all.extend([1, 2].map(|minor| all_of(5, Some(minor))));
    all.extend(ALWAYS.map(|(_, major, minor)| all_of(major, Some(minor))));
    all
}

/// Creates the devices that are not in our own /dev, inside the root. An existing node of the same device is kept.
///
/// # Errors
/// The kernel's error, with the path; `AlreadyExists` when another file exists there.
pub fn make_elsewhere<'a>(root: &Root, devices: impl Iterator<Item = &'a Device>, user: &User) -> Result<()> {
    for device in devices {
        let (parent, name) = device.path.rsplit_once('/').unwrap_or(("", &device.path));
        let dir = root.make(parent.as_bytes(), Point::Directory)?;
        let umask = rustix::process::umask(Mode::empty());
        let made = make_node(&dir, &device.node(name, device.owner(user)));
        rustix::process::umask(umask);
        match made {
            Err(e) if e.kind() == Kind::AlreadyExists => {
                let there =
                    root.handle(device.path.as_bytes()).map_err(|e| failure::kernel("open", &device.path, e))?;
                if !is_node(&there, device.kind, device.number) {
                    return Err(e);
                }
            }
            other => other?,
        }
    }
    Ok(())
}

/// The devices that are not below /dev, for a container with a /dev of ours.
pub fn outside_dev(devices: &[Device]) -> impl Iterator<Item = &Device> {
    devices.iter().filter(|device| below_dev(&device.path).is_none())
}

fn below_dev(path: &str) -> Option<&str> {
    let name = path.strip_prefix("/dev/")?;
    (!name.is_empty() && name.split('/').all(|part| !matches!(part, "" | "." | ".."))).then_some(name)
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

/// Creates one node; its mode is exact because the callers have cleared the umask.
fn make_node(dir: impl AsFd, node: &Node<'_>) -> Result<()> {
    let &Node { name, kind, mode, number: (major, minor), owner } = node;
    let fail = |e| failure::kernel("make device", name, e);
    mknodat(&dir, name, kind, mode, makedev(major, minor)).map_err(fail)?;
    if owner == (0, 0) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
    chownat(&dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).map_err(fail)
}

/// Opens the host's null device for the shim itself. Containers get theirs from [`crate::null`].
///
/// # Errors
/// The kernel's error.
pub fn open_null() -> Result<OwnedFd> {
    use rustix::fs::{OFlags, openat};
    openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| failure::kernel("open", "/dev/null", e))
}
