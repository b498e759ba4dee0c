// SPDX-License-Identifier: Apache-2.0
//! Removes directories. A rename into the trash is the removal; the data is deleted later. A crash in the middle of a
//! deletion leaves no half-removed object, and the next pass deletes what is left in the trash.

use crate::disk;
use crate::error::{Error, Result};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long a removal waits for its data to be deleted; a large directory is deleted after the response.
const EMPTYING: Duration = Duration::from_secs(2);

/// Moves a directory into the trash and deletes it there.
///
/// # Errors
/// The kernel's error for the move. Data that cannot be deleted stays in the trash for the next pass.
pub async fn discard(trash: &Path, dir: &Path, name: &str) -> Result<()> {
    let trash = trash.join(name);
    let left = match disk::blocking(|| move_away(dir, &trash)) {
        Ok(()) => trash,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        // There is no room for another name in the trash until something is deleted.
        Err(e) if matches!(e.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            disk::blocking(|| forget(dir))?;
            dir.to_owned()
        }
        Err(e) => return Err(Error::io("move to trash", dir, &e)),
    };
    let deletion = tokio::spawn(two_at_a_time(move || remove_quietly(&left)));
    let _ = tokio::time::timeout(EMPTYING, deletion).await;
    Ok(())
}

/// Renames, even over the remains of an interrupted removal of the same id.
fn move_away(dir: &Path, trash: &Path) -> std::io::Result<()> {
    match std::fs::rename(dir, trash) {
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOTEMPTY | libc::EEXIST)) => {
            std::fs::remove_dir_all(trash)?;
            std::fs::rename(dir, trash)
        }
        // The trash itself was removed. Without this check the directory would seem to be gone.
        Err(e) if e.kind() == ErrorKind::NotFound && dir.symlink_metadata().is_ok() => {
            let parent = trash.parent().ok_or(e)?;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            std::fs::rename(dir, trash)
        }
        other => other,
    }
}

/// Removes an object's records: without them, the next start deletes what is left of its directory.
fn forget(dir: &Path) -> Result<()> {
    for name in ["record", "record.new"] {
        match std::fs::remove_file(dir.join(name)) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::io("remove", &dir.join(name), &e)),
            _ => {}
        }
    }
    Ok(())
}

/// Deletes, at most two at a time. Large writable layers take minutes, and a drained node has many: other work that needs a
/// blocking thread must not wait for them.
async fn two_at_a_time(delete: impl FnOnce() + Send + 'static) {
    static SLOTS: Semaphore = Semaphore::const_new(2);
    // It is never closed.
    let _slot = SLOTS.acquire().await;
    // A panic in it was logged by the panic hook.
    let _ = tokio::task::spawn_blocking(delete).await;
}

/// Deletes what removals left in the trash.
pub async fn empty(trash: PathBuf) {
    two_at_a_time(move || {
        for entry in std::fs::read_dir(trash).into_iter().flatten().flatten() {
            remove_quietly(&entry.path());
        }
    })
    .await;
}

/// Removes a directory of ours with everything in it, if it exists.
///
/// # Errors
/// The kernel's error, with the path.
pub fn remove_tree(path: &Path) -> Result<()> {
    match disk::blocking(|| std::fs::remove_dir_all(path)) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", path, &e)),
        _ => Ok(()),
    }
}

/// [`remove_tree`] for a caller that does not need the result: a failure is logged.
pub fn remove_quietly(path: &Path) {
    if let Err(error) = remove_tree(path) {
        tracing::warn!(%error, "cannot delete everything below a directory; retrying later");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn many_deletions_take_two_threads_at_a_time() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let deletion = |_| {
            let (now, most) = (now.clone(), most.clone());
            two_at_a_time(move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(2));
                now.fetch_sub(1, Ordering::SeqCst);
            })
        };
        join_all((0..20).map(deletion)).await;
        assert_eq!((now.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (0, 2));
    }

    #[test]
    fn what_is_moved_away_replaces_what_an_earlier_removal_left() {
        let home = tempfile::tempdir().expect("directory");
        let (dir, trash) = (home.path().join("pod"), home.path().join("trash"));
        for (place, file) in [(&dir, "new"), (&trash, "old")] {
            std::fs::create_dir(place).and_then(|()| std::fs::write(place.join(file), "")).expect("made");
        }
        move_away(&dir, &trash).expect("moved");
        assert!(trash.join("new").exists() && !trash.join("old").exists() && !dir.exists());
        assert_eq!(move_away(&dir, &trash).expect_err("gone").kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_trash_that_somebody_removed_is_made_again() {
        let home = tempfile::tempdir().expect("directory");
        let (dir, trash) = (home.path().join("pod"), home.path().join("trash/pod-1"));
        std::fs::create_dir(&dir).expect("made");
        move_away(&dir, &trash).expect("moved");
        assert!(trash.exists() && !dir.exists());
        let mode = std::fs::metadata(home.path().join("trash")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn what_cannot_be_moved_away_is_nothings_before_it_is_deleted() {
        let home = tempfile::tempdir().expect("directory");
        for file in ["record", "record.new", "hosts"] {
            std::fs::write(home.path().join(file), "").expect("made");
        }
        forget(home.path()).expect("forgotten");
        forget(home.path()).expect("forgotten already");
        let left: Vec<_> = std::fs::read_dir(home.path()).expect("list").flatten().map(|e| e.file_name()).collect();
        assert_eq!(left, ["hosts"]);
    }
}
