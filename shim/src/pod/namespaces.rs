// SPDX-License-Identifier: Apache-2.0
//! Namespaces as files: creates, pins and unpins them.

use super::own::Own;
use crate::failure::{self, Result};
use crate::malformed::{self, absolute, non_empty};
use crate::sys;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The kinds of namespace that a pod can have of its own, by their names below /proc/PID/ns.
pub const KINDS: [&str; 5] = ["net", "ipc", "uts", "user", "pid"];

/// The namespaces to create, except for the user and the PID namespace, which are created in other ways.
pub fn wanted(own: Own) -> Vec<(&'static str, ThreadNameSpaceType)> {
    let all = [
        ("net", own.net, ThreadNameSpaceType::NETWORK),
        ("ipc", own.ipc, ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION),
        ("uts", own.uts, ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME),
    ];
    all.into_iter().filter(|(_, own, _)| *own).map(|(kind, _, flag)| (kind, flag)).collect()
}

/// Moves this process into new namespaces.
///
/// # Errors
/// The kernel's error, with the kinds.
pub fn unshare(wanted: &[(&'static str, ThreadNameSpaceType)]) -> Result<()> {
    let flags = wanted.iter().fold(ThreadNameSpaceType::empty(), |all, (_, flag)| all | *flag);
    if flags.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = wanted.iter().map(|(kind, _)| *kind).collect();
    sys::unshare(flags).map_err(|e| failure::kernel("make namespaces", names.join(", "), e))
}

/// Where the pins of a pod are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinPaths {
    dir: PathBuf,
    /// That of the network, if it is not with the others.
    net: Option<PathBuf>,
}

impl PinPaths {
    /// Those of a pod with this run directory.
    pub fn new(run_dir: &Path, net: Option<PathBuf>) -> Self {
        Self { dir: run_dir.join("ns"), net }
    }

    /// The directory of the pins.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The path of the pin of this kind.
    pub fn of(&self, kind: &str) -> PathBuf {
        match (&self.net, kind) {
            (Some(net), "net") => net.clone(),
            _ => self.dir.join(kind),
        }
    }
}

/// The paths of a message: its run directory, and its field `netns`.
///
/// # Errors
/// `netns` is neither empty nor absolute.
pub fn pin_paths(run_dir: &Path, netns: String) -> malformed::Result<PinPaths> {
    let net = non_empty(netns).map(|path| absolute("netns", path)).transpose()?;
    Ok(PinPaths::new(run_dir, net.map(PathBuf::from)))
}

/// Makes the directory for pins.
///
/// # Errors
/// The kernel's error, with the directory. An existing one is fine.
pub fn make_pin_dir(paths: &PinPaths) -> Result<()> {
    let dir = paths.dir();
    match rustix::fs::mkdir(dir, Mode::from_raw_mode(0o711)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(failure::kernel("make directory", dir.display().to_string(), errno)),
    }
}

/// Pins the namespace `kind` of process `pid` ("self" for this one).
///
/// # Errors
/// The kernel's error, with the pin.
pub fn pin(paths: &PinPaths, pid: &str, kind: &str) -> Result<()> {
    pin_file(paths, kind, Path::new(&format!("/proc/{pid}/ns/{kind}")))
}

/// Pins the namespace behind a file.
///
/// # Errors
/// The kernel's error, with the pin.
pub fn pin_file(paths: &PinPaths, kind: &str, namespace: &Path) -> Result<()> {
    let path = paths.of(kind);
    let fail = |errno: Errno| failure::kernel("pin namespace", path.display().to_string(), errno);
    let flags = OFlags::CREATE | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::open(&path, flags, Mode::from_raw_mode(0o444)).map_err(fail)?;
    mount_bind(namespace, &path).map_err(fail)
}

/// Opens a pin.
///
/// # Errors
/// The kernel's error, with the pin.
pub fn open(paths: &PinPaths, kind: &str) -> Result<OwnedFd> {
    open_path(&paths.of(kind))
}

/// Opens a namespace file.
///
/// # Errors
/// The kernel's error, with the file.
pub fn open_path(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| failure::kernel("open namespace", path.display().to_string(), errno))
}

/// Enters a network namespace.
///
/// # Errors
/// The kernel's error, with `name`.
pub fn enter_net(netns: &OwnedFd, name: &Path) -> Result<()> {
    move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|e| failure::kernel("enter network namespace", name.display().to_string(), e))
}

/// Enters the network namespace that a file pins.
///
/// # Errors
/// The kernel's error, with the file.
pub fn enter_net_at(path: &Path) -> Result<()> {
    enter_net(&open_path(path)?, path)
}

/// Removes all pins and their directory. Missing ones are fine.
///
/// # Errors
/// The kernel's error, with the first pin that cannot be removed.
pub fn unpin_all(paths: &PinPaths) -> Result<()> {
    for path in KINDS.map(|kind| paths.dir().join(kind)).iter().chain(&paths.net) {
        detach(path)?;
        gone("remove pin", path, rustix::fs::unlink(path))?;
    }
    gone("remove directory", paths.dir(), rustix::fs::rmdir(paths.dir()))
}

/// Detaches every mount on `path`, without disturbing their users.
///
/// # Errors
/// The kernel's error, with the path.
pub fn detach(path: &Path) -> Result<()> {
    loop {
        match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            // EINVAL: `path` is not a mount point (any more).
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(failure::kernel("unmount", path.display().to_string(), errno)),
        }
    }
}

/// Turns "does not exist" into success.
///
/// # Errors
/// Any other answer, with `step` and the path.
pub fn gone(step: &'static str, path: &Path, answer: std::result::Result<(), Errno>) -> Result<()> {
    match answer {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(failure::kernel(step, path.display().to_string(), errno)),
    }
}

/// Sets the host name of this process's UTS namespace; `None` leaves it unchanged.
///
/// # Errors
/// The kernel's error, with the name.
pub fn set_hostname(name: Option<&str>) -> Result<()> {
    let Some(name) = name else { return Ok(()) };
    rustix::system::sethostname(name.as_bytes()).map_err(|errno| failure::kernel("set host name", name, errno))
}
