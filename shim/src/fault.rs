// SPDX-License-Identifier: Apache-2.0
//! The fault channel between the shim and a child on its way to execve.
//!
//! ```text
//! child  --[one Failure record]--> shim     it failed: the record says where
//! child  --[end of file]---------> shim     the program runs (the pipe is close-on-exec), or the child was killed
//! ```

use crate::failure::{self, Failure, Kind, Result};
use crate::sys;
use prost::Message;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Largest failure record in bytes: a few names and numbers. A pipe takes this much atomically.
const MAX_RECORD: usize = 4096;

/// The child's end.
#[derive(Debug)]
pub struct Reporter(OwnedFd);

/// The shim's end.
#[derive(Debug)]
pub struct Watcher(OwnedFd);

/// How the child's way to execve ended.
#[derive(Debug)]
pub enum Outcome {
    /// Not known yet (only from [`Watcher::look`]).
    Pending,
    /// execve has succeeded.
    Running,
    /// The child failed before execve.
    Failed(Failure),
}

/// Makes a channel; both ends are close-on-exec.
///
/// # Errors
/// The kernel's error.
pub fn channel() -> Result<(Watcher, Reporter)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| failure::kernel("make pipe", "fault", e))?;
    Ok((Watcher(read), Reporter(write)))
}

impl Reporter {
    /// Sends the failure and ends the process.
    pub fn fail(&self, failure: Failure) -> ! {
        let mut record = failure.encode_to_vec();
        if record.len() > MAX_RECORD {
            let cut = |text: String| text.chars().take(MAX_RECORD / 16).collect::<String>();
            let Failure { kind, step, object, errno, message } = failure;
            record = Failure { kind, errno, step, object: cut(object), message: cut(message) }.encode_to_vec();
        }
        let _ = rustix::io::write(&self.0, &record);
        sys::exit_now(127)
    }
}

impl From<OwnedFd> for Reporter {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl AsFd for Reporter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Watcher {
    /// Waits for the outcome.
    pub fn wait(&self) -> Outcome {
        loop {
            match self.look() {
                Outcome::Pending => {}
                outcome => return outcome,
            }
        }
    }

    /// Makes [`Watcher::look`] return at once.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn set_nonblocking(&self) -> Result<()> {
        rustix::io::ioctl_fionbio(&self.0, true).map_err(|e| failure::kernel("make non-blocking", "fault", e))
    }

    /// Reads the outcome if it is known.
    pub fn look(&self) -> Outcome {
        let mut record = [0; MAX_RECORD];
        match rustix::io::read(&self.0, &mut record) {
            Ok(0) => Outcome::Running,
            Ok(n) => Outcome::Failed(Failure::decode(&record[..n]).unwrap_or_else(|_| unreadable())),
            Err(Errno::AGAIN | Errno::INTR) => Outcome::Pending,
            Err(e) => Outcome::Failed(failure::kernel("read", "fault", e)),
        }
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn unreadable() -> Failure {
    failure::refused(Kind::Internal, "read", "fault", "the child's record cannot be decoded")
}
