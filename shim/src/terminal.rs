// SPDX-License-Identifier: Apache-2.0
//! Opens terminals in the container's own devpts, for the shim.
//!
//! The shim holds a descriptor of the devpts mount that it made, and opens `ptmx` relative to it. It never resolves a path
//! inside the container, which its processes could have replaced (as in CVE-2025-52565).

use crate::failure::{self, Result};
use rustix::fs::{FileType, Mode, OFlags, Uid, fchown, fstat, openat};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::os::fd::{AsFd, OwnedFd};

/// Both ends of a new terminal.
#[derive(Debug)]
pub struct Terminal {
    /// The side that clients read and write.
    pub master: OwnedFd,
    /// The side for the process.
    pub slave: OwnedFd,
}

/// Opens a new terminal; `size` is rows and columns.
///
/// # Errors
/// The kernel's error.
pub fn open(devpts: &OwnedFd, size: Option<(u32, u32)>) -> Result<Terminal> {
    let fail = |e| failure::kernel("open terminal", "/dev/pts/ptmx", e);
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = openat(devpts, "ptmx", flags, Mode::empty()).map_err(fail)?;
    unlockpt(&master).map_err(fail)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags).map_err(fail)?;
    if let Some((rows, columns)) = size {
        resize(&master, rows, columns)?;
    }
    Ok(Terminal { master, slave })
}

/// Sets the size of a terminal, given either end.
///
/// # Errors
/// The kernel's error; `ENOTTY` when it is not a terminal.
pub fn resize(terminal: impl AsFd, rows: u32, columns: u32) -> Result<()> {
    let clamp = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    let size = Winsize { ws_row: clamp(rows), ws_col: clamp(columns), ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).map_err(|e| failure::kernel("resize", "terminal", e))
}

/// Makes the user of the process that gets a pipe or terminal its owner, because any user must be able to open
/// `/dev/stdout`. The null device is left unchanged.
///
/// # Errors
/// The kernel's error.
pub fn give_to(stream: &OwnedFd, uid: u32) -> Result<()> {
    let fail = |e| failure::kernel("chown", "stream", e);
    let stat = fstat(stream).map_err(fail)?;
    let is_terminal = (136..=143).contains(&rustix::fs::major(stat.st_rdev));
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice if !is_terminal => Ok(()),
        _ if stat.st_uid == uid => Ok(()),
        FileType::Fifo | FileType::CharacterDevice => fchown(stream, Some(Uid::from_raw(uid)), None).map_err(fail),
        _ => Ok(()),
    }
}
