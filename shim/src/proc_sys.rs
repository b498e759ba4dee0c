// SPDX-License-Identifier: Apache-2.0
//! `/proc/sys` through a procfs of this process's own, to read and write the settings of one network namespace.
//!
//! One procfs shows every network namespace's settings under the same names, and the kernel keeps what was looked up for as
//! long as the namespace lives. To find `net/ipv6` it walks through the entries of all namespaces that anybody has looked
//! at, one after the other: with 500 pods, that took 60 to 120 us for each file instead of 4. A procfs of our own costs 20 us
//! and has the entries of this process alone; and the node's procfs, which everybody else uses, gets none of the pods'.
//!
//! Which settings a name means depends on the namespaces of the process that opens it, not on the procfs.

use crate::failure::{self, Result};
use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;

/// The longest setting that is read.
const MAX_READ: u64 = 4096;

/// The directory `sys` of a procfs.
#[derive(Debug)]
pub struct ProcSys {
    /// The root of the procfs. It is closed by the exit of this process, after its reply: to close the last descriptor of a
    /// mount, the kernel has to wait for all processors.
    root: ManuallyDrop<OwnedFd>,
}

impl ProcSys {
    /// Mounts a procfs that no path leads to. Where that is not allowed, the node's is used, which only takes longer.
    ///
    /// # Errors
    /// The kernel's error when there is no `/proc` either.
    pub fn own() -> Result<Self> {
        mount().map_or_else(|_| Self::nodes(), |root| Ok(Self { root: ManuallyDrop::new(root) }))
    }

    /// The node's procfs, for a process that has no setting to look up.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn nodes() -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open("/proc", flags, Mode::empty()).map_err(|errno| failure::kernel("open", "/proc", errno))?;
        Ok(Self { root: ManuallyDrop::new(root) })
    }

    /// Reads the setting at a path below `/proc/sys`.
    ///
    /// # Errors
    /// The kernel's error; `NotFound` when there is no such setting.
    pub fn read(&self, path: &str) -> io::Result<String> {
        let mut text = String::new();
        self.file(path, OFlags::RDONLY)?.take(MAX_READ).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Writes the setting at a path below `/proc/sys`.
    ///
    /// # Errors
    /// The kernel's error; `NotFound` when there is no such setting.
    pub fn write(&self, path: &str, value: &str) -> io::Result<()> {
        self.file(path, OFlags::WRONLY)?.write_all(value.as_bytes())
    }

    fn file(&self, path: &str, access: OFlags) -> io::Result<File> {
        let file = openat(&*self.root, format!("sys/{path}"), access | OFlags::CLOEXEC, Mode::empty())?;
        Ok(File::from(file))
    }
}

/// A procfs of the PID namespace of this process. Since Linux 5.8 each is a file system of its own.
fn mount() -> std::result::Result<OwnedFd, Errno> {
    let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_procfs_of_our_own_and_the_nodes_show_the_same_settings() {
        let path = "kernel/random/boot_id";
        let expected = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        for sys in [ProcSys::own().unwrap(), ProcSys::nodes().unwrap()] {
            assert_eq!(sys.read(path).unwrap(), expected);
            let missing = [sys.read("net/no_such").map(drop), sys.write("net/no_such", "1")];
            assert!(missing.into_iter().all(|answer| answer.unwrap_err().kind() == io::ErrorKind::NotFound));
        }
    }
}
