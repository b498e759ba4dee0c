// SPDX-License-Identifier: Apache-2.0
//! Copies owner, mode, extended attributes and times.
//!
//! In this order: changing the owner clears set-user-id bits and file capabilities, and every change updates the times.

use gorae_kernel::attributes::is_kept;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod, fchown,
    fgetxattr, flistxattr, fsetxattr, futimens, utimensat,
};
use rustix::io::{Errno, Result};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

/// The kernel's limit for a value, and for all names of a file together, in bytes. Source: linux/limits.h.
const LARGEST: usize = 65_536;

/// Copies attributes, and reuses its buffers for the next file.
#[derive(Debug)]
pub struct Copier {
    names: Vec<u8>,
    value: Vec<u8>,
}

impl Default for Copier {
    fn default() -> Self {
        Self { names: vec![0; LARGEST], value: vec![0; LARGEST] }
    }
}

impl Copier {
    /// Copies those of an open file or directory.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn open(&mut self, from: BorrowedFd<'_>, to: impl AsFd, stat: &Stat) -> Result<()> {
        let to = to.as_fd();
        let (uid, gid) = owner(stat);
        fchown(to, Some(uid), Some(gid))?;
        fchmod(to, mode(stat))?;
        self.extended(from, to)?;
        futimens(to, &times(stat))
    }

    /// Copies those of something that cannot be opened: a link, a device, a pipe, a socket.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn named(&mut self, directory: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<()> {
        let (uid, gid) = owner(stat);
        chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            chmodat(directory, name, mode(stat), AtFlags::empty())?;
        }
        utimensat(directory, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)
    }

    fn extended(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
        let length = match flistxattr(from, &mut self.names[..]) {
            Err(Errno::OPNOTSUPP) => return Ok(()),
            other => other?,
        };
        for name in self.names[..length].split(|&b| b == 0).filter(|name| is_kept(name)) {
            let length = fgetxattr(from, name, &mut self.value[..])?;
            match fsetxattr(to, name, &self.value[..length], XattrFlags::empty()) {
                // As for the image's layers: only capabilities are guaranteed.
                Err(Errno::OPNOTSUPP | Errno::PERM) if name != b"security.capability" => {}
                other => other?,
            }
        }
        Ok(())
    }
}

fn owner(stat: &Stat) -> (Uid, Gid) {
    (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid))
}

fn mode(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode & 0o7777)
}

fn times(stat: &Stat) -> Timestamps {
    let time = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as i64 };
    Timestamps { last_access: time, last_modification: time }
}
