// SPDX-License-Identifier: Apache-2.0
//! A lock that daemons of one network namespace share while they choose a subnet and put it on a bridge.
//!
//! It is a lock on a file that only root can open, so that no other process of the namespace can hold it. The file is
//! named after the namespace's inode, and every daemon of the machine uses the same path, whatever its own directories
//! are. It is removed with its directory when no daemon holds the lock, and the kernel releases the lock when its
//! holder dies. Daemons of one network namespace that do not share /run do not share the lock.

use crate::error::NetworkError;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The directory with the locks of all network namespaces.
const PLACE: &str = "/run/gorae-network";
/// Longer than any holder needs: it dumps routes and creates one bridge.
const DEADLINE: Duration = Duration::from_secs(10);

/// The held lock.
#[derive(Debug)]
pub struct NodeLock {
    path: PathBuf,
    _file: File,
}

impl NodeLock {
    /// Waits for the lock of this thread's network namespace. Blocking.
    ///
    /// # Errors
    /// [`NetworkError::NodeLock`] after 10 s, [`NetworkError::LockFile`] with the kernel's error.
    pub fn take() -> std::result::Result<Self, NetworkError> {
        let namespace = Path::new("/proc/thread-self/ns/net");
        let inode = std::fs::metadata(namespace).map(|meta| meta.ino());
        let inode = inode.map_err(|source| NetworkError::LockFile { path: namespace.into(), source })?;
        Self::take_at(&Path::new(PLACE).join(inode.to_string()), DEADLINE)
    }

    fn take_at(path: &Path, patience: Duration) -> std::result::Result<Self, NetworkError> {
        let start = Instant::now();
        loop {
            match try_lock(path) {
                Ok(Some(file)) => return Ok(Self { path: path.into(), _file: file }),
                Ok(None) if start.elapsed() > patience => {
                    return Err(NetworkError::NodeLock { seconds: patience.as_secs() });
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                Err(source) => return Err(NetworkError::LockFile { path: path.into(), source }),
            }
        }
    }
}

impl Drop for NodeLock {
    /// Unlinks the file while still holding the lock; waiters notice that the inode changed and retry.
    fn drop(&mut self) {
        // If the file stays behind, the next daemon finds and locks it.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.path.parent().map(std::fs::remove_dir);
    }
}

/// Locks the file at this path; `None` while another daemon holds the lock or is just removing the file.
fn try_lock(path: &Path) -> Result<Option<File>> {
    if let Some(dir) = path.parent() {
        make_own_directory(dir)?;
    }
    let file = match open(path) {
        Ok(file) => file,
        // The last holder has just removed the directory.
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    }
    let locked = file.metadata()?;
    let same = std::fs::symlink_metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == (locked.dev(), locked.ino()));
    Ok(same.then_some(file))
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Creates a directory that no other user can enter. A directory that others can enter is not trusted.
fn make_own_directory(dir: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e),
    }
    match std::fs::symlink_metadata(dir) {
        Ok(meta) if meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & 0o077 == 0 => {
            Ok(())
        }
        // It has just been removed.
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(_) => {
            let why = format!("{} is not a directory that only this user can enter; remove it", dir.display());
            Err(Error::new(ErrorKind::PermissionDenied, why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn one_at_a_time_has_it_and_nothing_stays_of_it() {
        let home = tempfile::tempdir().expect("directory");
        let path = home.path().join("locks/1");
        let holders = AtomicUsize::new(0);
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for _ in 0..50 {
                        let lock = NodeLock::take_at(&path, Duration::from_secs(600)).expect("in turn");
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        assert_eq!(holders.fetch_sub(1, Ordering::SeqCst), 1);
                        drop(lock);
                    }
                });
            }
        });
        assert_eq!(std::fs::read_dir(home.path()).expect("list").count(), 0);
    }

    #[test]
    fn waiting_too_long_is_an_error_and_a_dead_holders_file_is_taken() {
        let home = tempfile::tempdir().expect("directory");
        let path = home.path().join("locks/1");
        let held = NodeLock::take_at(&path, Duration::ZERO).expect("free");
        let late = NodeLock::take_at(&path, Duration::ZERO).expect_err("held");
        assert!(matches!(late, NetworkError::NodeLock { .. }), "{late}");
        NodeLock::take_at(&home.path().join("locks/2"), Duration::ZERO).expect("another namespace's is free");
        drop(held);
        DirBuilder::new().mode(0o700).create(home.path().join("locks")).expect("directory");
        std::fs::write(&path, "").expect("left behind");
        NodeLock::take_at(&path, Duration::ZERO).expect("nobody has it");
    }

    #[test]
    fn nobody_but_its_owner_can_open_it() {
        let home = tempfile::tempdir().expect("directory");
        let path = home.path().join("locks/1");
        let held = NodeLock::take_at(&path, Duration::ZERO).expect("free");
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").mode() & 0o777;
        assert_eq!((mode(&home.path().join("locks")), mode(&path)), (0o700, 0o600));
        drop(held);
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::create_dir(home.path().join("locks")).expect("directory");
        std::fs::set_permissions(home.path().join("locks"), open).expect("open to all");
        let error = NodeLock::take_at(&path, Duration::ZERO).expect_err("others could hold it").to_string();
        assert!(error.contains("remove it"), "{error}");
    }
}
