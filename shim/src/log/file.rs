// SPDX-License-Identifier: Apache-2.0
//! The log file: opened for append, and made of whole records only.
//!
//! Nothing else writes to it. A write that the kernel cuts short (a full disk) is undone back to the last whole record,
//! so that a reader always finds well-formed content and a rotation never splits a record.

use super::error::Error;
use crate::sys;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::DirBuilder;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// How often to try when the file keeps appearing and disappearing.
const TRIES: usize = 16;

/// An open log file and its path.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    fd: OwnedFd,
}

/// A write that failed: `done` bytes (whole records) are in the file.
#[derive(Debug)]
pub struct Stopped {
    /// Bytes of the batch that the file holds.
    pub done: usize,
    /// The kernel's error.
    pub errno: Errno,
}

impl LogFile {
    /// Opens `path` for append; creates it (0640) and its parents (0755) when missing.
    ///
    /// # Errors
    /// `Directory`, `Open`, and `NotRegular`: the directory can be mounted into containers, so a link, a FIFO or a
    /// device in the file's place is refused instead of followed.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let fd = match open(path) {
            Err(Errno::NOENT) => {
                let parent = path.parent().unwrap_or(path);
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o755)
                    .create(parent)
                    .map_err(|source| Error::Directory { path: parent.to_owned(), source })?;
                open(path)
            }
            other => other,
        };
        match fd {
            Ok(Some(fd)) => Ok(Self { path: path.to_owned(), fd }),
            Ok(None) => Err(Error::NotRegular { path: path.to_owned() }),
            Err(errno) => Err(Error::Open { path: path.to_owned(), source: errno.into() }),
        }
    }

    /// Opens the same path again (after the old file was renamed away) and closes the old file.
    ///
    /// # Errors
    /// See [`LogFile::open`]; the old file then stays in use.
    pub fn reopen(&mut self) -> Result<(), Error> {
        *self = Self::open(&self.path)?;
        Ok(())
    }

    /// Appends whole records.
    ///
    /// # Errors
    /// [`Stopped`] with how much is in the file; the rest can be retried at any time.
    pub fn append(&self, records: &[u8]) -> Result<(), Stopped> {
        let mut done = 0;
        while done < records.len() {
            match rustix::io::write(&self.fd, &records[done..]) {
                Ok(0) => return Err(self.stopped(records, done, Errno::IO)),
                Ok(n) => done += n,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.stopped(records, done, errno)),
            }
        }
        Ok(())
    }

    fn stopped(&self, records: &[u8], done: usize, errno: Errno) -> Stopped {
        let whole = memchr::memrchr(b'\n', &records[..done]).map_or(0, |at| at + 1);
        Stopped { done: if self.cut((done - whole) as u64).is_ok() { whole } else { done }, errno }
    }

    /// Removes the last `torn` bytes, the front of a record that did not fit.
    fn cut(&self, torn: u64) -> Result<(), Errno> {
        if torn == 0 {
            return Ok(());
        }
        let size = rustix::fs::fstat(&self.fd)?.st_size as u64;
        rustix::fs::ftruncate(&self.fd, size.checked_sub(torn).ok_or(Errno::INVAL)?)
    }
}

/// `None` for anything but a regular file. Other files are not opened, because opening a device can have effects.
fn open(path: &Path) -> Result<Option<OwnedFd>, Errno> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    for _ in 0..TRIES {
        let create = flags | OFlags::CREATE | OFlags::EXCL;
        match rustix::fs::open(path, create, Mode::from_raw_mode(0o640)) {
            Err(Errno::EXIST) => {}
            other => return other.map(Some),
        }
        let handle = match rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            // It was removed in between.
            Err(Errno::NOENT) => continue,
            other => other?,
        };
        match FileType::from_raw_mode(rustix::fs::fstat(&handle)?.st_mode) {
            FileType::RegularFile => return sys::reopen(handle.as_fd(), flags).map(Some),
            FileType::Symlink => return Err(Errno::LOOP),
            _ => return Ok(None),
        }
    }
    Err(Errno::AGAIN)
}
