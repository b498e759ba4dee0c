// SPDX-License-Identifier: Apache-2.0
//! A bell that rings when something changes in one of several directories, which need not exist yet.

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// How long it must be quiet before a change counts as complete.
const QUIET: Duration = Duration::from_millis(100);
/// The longest wait for that.
const NOISY: Duration = Duration::from_secs(1);

/// Makes an inotify descriptor for the directories. For one that does not exist, its nearest ancestor is watched. A new
/// one is armed after each change, so that none holds on to a directory that was replaced.
///
/// # Errors
/// The kernel's: no room for another one.
pub fn arm<'a>(directories: impl Iterator<Item = &'a Path>) -> io::Result<OwnedFd> {
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    for directory in directories {
        let changes = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE
            | WatchFlags::MOVE_SELF;
        // The parent too: the directory itself may be replaced. Only the first ancestor that exists can tell more.
        for (depth, place) in directory.ancestors().enumerate() {
            let watched = inotify::add_watch(&fd, place, changes | WatchFlags::ONLYDIR);
            if watched.is_ok() && depth > 0 {
                break;
            }
        }
    }
    Ok(fd)
}

/// An armed bell.
#[derive(Debug)]
pub struct Bell(AsyncFd<OwnedFd>);

impl Bell {
    /// Takes the descriptor.
    ///
    /// # Errors
    /// The kernel's.
    #[expect(
        deprecated,
        reason = "the replacement is unsafe for types that swap their descriptor; an OwnedFd does not"
    )]
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        AsyncFd::new(fd).map(Self)
    }

    /// Waits until something changes and it has been quiet again for a moment.
    pub async fn rung(&mut self) {
        self.one().await;
        let quiet = async { while tokio::time::timeout(QUIET, self.one()).await.is_ok() {} };
        // Whoever never stops is read in between.
        let _ = tokio::time::timeout(NOISY, quiet).await;
    }

    /// Waits for events and takes all that are there.
    async fn one(&mut self) {
        loop {
            let Ok(mut ready) = self.0.readable_mut().await else { return std::future::pending().await };
            let mut events = [0; 4096];
            match rustix::io::read(ready.get_inner(), &mut events) {
                Ok(_) => return,
                Err(_) => ready.clear_ready(),
            }
        }
    }
}
