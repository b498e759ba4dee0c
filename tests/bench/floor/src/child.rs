// SPDX-License-Identifier: Apache-2.0
//! The child's side of a container: from clone to execve, one subject a function.

use super::cgroup::Entry;
use super::sys;
use anyhow::{Context, Error, Result};
use rustix::fs::{CWD, Dev, FileType, Mode, makedev, mkdir, mknodat, symlink};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, mount_remount, move_mount, unmount,
};
use rustix::process::{chdir, pivot_root, umask};
use rustix::thread::{
    CapabilitySet, CapabilitySets, UnshareFlags, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("tty", 5, 0), ("random", 1, 8), ("urandom", 1, 9)];
const LINKS: [(&str, &str); 5] = [
    ("pts/ptmx", "/dev/ptmx"),
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
const MASKED_FILES: [&str; 5] =
    ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/latency_stats", "/proc/sched_debug"];
const MASKED_DIRS: [&str; 3] = ["/proc/acpi", "/proc/scsi", "/sys/firmware"];
/// The capabilities that usual runtimes leave to a container.
const CAPABILITIES: u64 = 0xa804_25fb;
/// `CAP_CHECKPOINT_RESTORE`.
const LAST_CAPABILITY: u32 = 40;
/// Instructions of a usual seccomp profile that are compared one after the other.
const COMPARISONS: u32 = 180;

/// What the child needs from its parent.
pub struct Child<'a> {
    /// An empty directory.
    pub root: PathBuf,
    /// The detached root file system.
    pub overlay: OwnedFd,
    /// Its cgroup.
    pub entry: &'a Entry,
}

impl Child<'_> {
    /// Becomes the container's program; comes back only with what went wrong.
    pub fn become_container(&self) -> Error {
        let done = self
            .join_cgroup()
            .and_then(|()| self.change_root().context("root"))
            .and_then(|()| mounts().context("mounts"))
            .and_then(|()| devices().context("devices"))
            .and_then(|()| cover().context("masked paths"))
            .and_then(|()| give_up_privileges().context("privileges"));
        match done {
            Ok(()) => sys::execve(c"/true").into(),
            Err(error) => error,
        }
    }

    fn join_cgroup(&self) -> Result<()> {
        if let Entry::Tasks(files) = self.entry {
            for file in files {
                rustix::io::write(file, b"0")?;
            }
        }
        Ok(sys::unshare(UnshareFlags::NEWCGROUP)?)
    }

    fn change_root(&self) -> Result<()> {
        mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
        move_mount(&self.overlay, "", CWD, &self.root, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        chdir(&self.root)?;
        pivot_root(".", ".")?;
        unmount(".", UnmountFlags::DETACH)?;
        Ok(chdir("/")?)
    }
}

fn mounts() -> Result<()> {
    let safe = MountFlags::NOSUID | MountFlags::NOEXEC;
    let safest = safe | MountFlags::NODEV;
    mount("proc", "/proc", "proc", safest, None)?;
    mount("tmpfs", "/dev", "tmpfs", MountFlags::NOSUID | MountFlags::STRICTATIME, Some(c"mode=755,size=65536k"))?;
    for dir in ["/dev/pts", "/dev/shm", "/dev/mqueue"] {
        mkdir(dir, Mode::from_raw_mode(0o755))?;
    }
    mount("devpts", "/dev/pts", "devpts", safe, Some(c"newinstance,ptmxmode=0666,mode=0620,gid=5"))?;
    mount("shm", "/dev/shm", "tmpfs", safest, Some(c"mode=1777,size=65536k"))?;
    mount("mqueue", "/dev/mqueue", "mqueue", safest, None)?;
    Ok(mount("sysfs", "/sys", "sysfs", safest | MountFlags::RDONLY, None)?)
}

fn devices() -> Result<()> {
    umask(Mode::empty());
    for (name, major, minor) in DEVICES {
        let device: Dev = makedev(major, minor);
        mknodat(CWD, format!("/dev/{name}"), FileType::CharacterDevice, Mode::from_raw_mode(0o666), device)?;
    }
    LINKS.iter().try_for_each(|(to, at)| symlink(*to, *at)).map_err(Error::from)
}

/// Paths that this kernel does not have are left out, as runtimes do.
fn cover() -> Result<()> {
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    for path in READ_ONLY {
        if mount_bind_recursive(path, path).is_ok() {
            mount_remount(path, flags, c"")?;
        }
    }
    for path in MASKED_FILES {
        let _ = mount_bind("/dev/null", path);
    }
    for path in MASKED_DIRS {
        let _ = mount("tmpfs", path, "tmpfs", MountFlags::RDONLY, None);
    }
    Ok(())
}

fn give_up_privileges() -> Result<()> {
    rustix::system::sethostname(b"floor")?;
    let kept = CapabilitySet::from_bits_retain(CAPABILITIES);
    for bit in (0..LAST_CAPABILITY + 1).filter(|bit| CAPABILITIES & (1 << bit) == 0) {
        remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit))?;
    }
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets)?;
    set_no_new_privs(true)?;
    Ok(sys::seccomp(COMPARISONS)?)
}
