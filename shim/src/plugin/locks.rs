// SPDX-License-Identifier: Apache-2.0
//! The two locks of an attachment.
//!
//! ```text
//! the directory       from the first plugin of a series until its process ends: series come one after the other
//! DIRECTORY/running   while a plugin runs. The plugin inherits it, and so do the programs that it calls
//! ```
//!
//! This process may be killed in the middle of a plugin, and the first lock goes with it. The plugin is killed then, too, but
//! not the programs that it called. What one of them still writes down, such as an address, would never be given back if the
//! undoing came first. The second lock stays until the last of them has ended.

use crate::failure::{self, Kind, Result};
use crate::pod::{RunDir, lock_within, wait_for_lock};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name of the file that is locked while a plugin runs.
const RUNNING: &str = "running";

/// The locks of an attachment, as far as this process has them.
#[derive(Debug)]
pub(super) struct Locks {
    directory: PathBuf,
    /// Released at the end of this value, and of this process.
    _whole: RunDir,
    running: Option<OwnedFd>,
}

impl Locks {
    /// Takes the lock of the directory, waiting a bounded time for another series.
    ///
    /// # Errors
    /// `DeadlineExceeded`, with the holder; `NotFound` when the attachment was undone meanwhile.
    pub fn take(directory: &Path, patience: Duration) -> Result<Self> {
        let whole = lock_within(directory, patience)?;
        if !whole.is_there() {
            // Whoever had it before has undone the attachment, and nothing may be added to it any more.
            let (object, why) = (directory.display().to_string(), "it was removed meanwhile");
            return Err(failure::refused(Kind::NotFound, "lock", object, why));
        }
        Ok(Self { directory: directory.to_owned(), _whole: whole, running: None })
    }

    /// Whether these are those of `directory`.
    pub fn are_of(&self, directory: &Path) -> bool {
        self.directory == directory
    }

    /// Takes the lock that the next plugin inherits, waiting for programs that a killed process of ours has left behind.
    ///
    /// # Errors
    /// `DeadlineExceeded`: they still run.
    pub fn begin(&mut self, end: Instant) -> Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        let path = self.directory.join(RUNNING);
        // Without CLOEXEC: this is what the plugin inherits. This process starts nothing else meanwhile.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW;
        let file = open(&path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| failure::kernel("open lock", path.display().to_string(), errno))?;
        wait_for_lock(&file, &path, end.saturating_duration_since(Instant::now()))?;
        self.running = Some(file);
        Ok(())
    }

    /// Gives that lock back for everybody who has it: what a plugin has left behind on purpose must not keep it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn end(&mut self) -> Result<()> {
        let Some(file) = self.running.take() else { return Ok(()) };
        let path = || self.directory.join(RUNNING).display().to_string();
        flock(&file, FlockOperation::Unlock).map_err(|errno| failure::kernel("unlock", path(), errno))
    }
}
