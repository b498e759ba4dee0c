// SPDX-License-Identifier: Apache-2.0
//! A lock on a pod's run directory, so that one process at a time works on the pod.
//!
//! The lock is released when its holder exits, however it exits. A set-up whose daemon died may still be running when the
//! next daemon cleans up; the clean-up waits for it here.

use crate::failure::{self, Kind, Result};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, open};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long one process waits for another.
const PATIENCE: Duration = Duration::from_secs(5);

/// A locked run directory.
#[derive(Debug)]
pub struct RunDir {
    lock: OwnedFd,
}

impl RunDir {
    /// Whether the directory still has a name.
    pub fn is_there(&self) -> bool {
        fstat(&self.lock).is_ok_and(|stat| stat.st_nlink > 0)
    }
}

/// Locks `run_dir`, waiting a bounded time for another holder.
///
/// # Errors
/// `DeadlineExceeded`, with the holder; `NotFound` when the directory does not exist.
pub fn lock(run_dir: &Path) -> Result<RunDir> {
    lock_within(run_dir, PATIENCE)
}

/// The same, with another bound.
///
/// # Errors
/// Those of `lock`.
pub fn lock_within(run_dir: &Path, patience: Duration) -> Result<RunDir> {
    let object = || run_dir.display().to_string();
    let fail = |errno: Errno| failure::kernel("lock run directory", object(), errno);
    let dir = open(run_dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(fail)?;
    wait_for_lock(&dir, run_dir, patience)?;
    Ok(RunDir { lock: dir })
}

/// Locks the open file of this path, waiting a bounded time for another holder.
///
/// # Errors
/// `DeadlineExceeded`, with the holder.
pub fn wait_for_lock(file: &OwnedFd, path: &Path, patience: Duration) -> Result<()> {
    let object = || path.display().to_string();
    let end = Instant::now() + patience;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) if Instant::now() < end => std::thread::sleep(Duration::from_millis(1)),
            Err(Errno::WOULDBLOCK) => {
                let why = format!("still locked by {} after {} s", holder(file), patience.as_secs());
                return Err(failure::refused(Kind::DeadlineExceeded, "lock", object(), &why));
            }
            Err(errno) => return Err(failure::kernel("lock", object(), errno)),
        }
    }
}

/// The holder of the lock, for an error message.
fn holder(dir: &OwnedFd) -> String {
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    // 0: the process that took it has ended, and others that inherited it have it.
    let pid = fstat(dir).ok().and_then(|stat| holder_of(&locks, stat.st_ino)).filter(|pid| *pid != 0);
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// The pid in the line of /proc/locks for this inode: `1: FLOCK ADVISORY WRITE 4711 fe:00:1234 0 EOF`.
fn holder_of(locks: &str, inode: u64) -> Option<u32> {
    let mut lines = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let suffix = format!(":{inode}");
    lines.find_map(|words| match words[..] {
        [_, "FLOCK", _, _, pid, file, ..] if file.ends_with(&suffix) => pid.parse().ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_waits_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        let holder = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            drop(first);
        });
        let begin = Instant::now();
        lock(dir.path()).unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(25));
        holder.join().unwrap();
    }

    #[test]
    fn the_holder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let _lock = lock(dir.path()).unwrap();
        let other = open(dir.path(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        assert_eq!(holder(&other), format!("process {}", std::process::id()));
    }
}
