// SPDX-License-Identifier: Apache-2.0
//! Keeps the end of a container where it survives a reboot.
//!
//! The shim's record of the end is on a tmpfs. But an ended container must keep its exit code through a reboot, because
//! kubelet runs a container again unless it knows that it succeeded. So the daemon keeps a copy beside the container's
//! record as soon as it has published the end, or at its next start if it was not running. The copy is not synced: after
//! a power cut the end may be unknown, but it is never wrong.

use super::{Exit, State};
use crate::error::{Kind, Result};
use crate::ids::{self, ContainerId};
use crate::records;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name and kind of the record.
const END: &str = "end";
const VERSION: u32 = 1;
/// How long a caller waits for the copy: a stalled disk must not hold up anything else.
const PATIENCE: Duration = Duration::from_millis(100);

/// Keeps the end of the container whose directory is `dir`; in the background if the disk is slow.
pub async fn keep(dir: PathBuf, id: &ContainerId, exit: &Exit) {
    let (exit, short) = (exit.clone(), ids::short(id).to_owned());
    let writing = tokio::task::spawn_blocking(move || keep_now(&dir, &short, &exit));
    let _ = tokio::time::timeout(PATIENCE, writing).await;
}

/// [`keep`] for the daemon's start: keeps the end only if none is kept yet.
pub fn keep_if_new(dir: &Path, id: &ContainerId, exit: &Exit) {
    if !dir.join(END).exists() {
        keep_now(dir, ids::short(id), exit);
    }
}

fn keep_now(dir: &Path, short: &str, exit: &Exit) {
    match records::write(dir, END, END, VERSION, exit) {
        Ok(()) => {}
        // The container was removed in the meantime.
        Err(_) if !dir.exists() => {}
        Err(error) => {
            let why = "cannot keep a copy of the container's end; after a reboot it would be unknown";
            tracing::warn!(container = short, %error, "{why}");
        }
    }
}

/// The end that was kept, if any.
///
/// # Errors
/// When it is damaged or cannot be read: the container has ended, but its exit code is unknown.
pub fn kept(dir: &Path) -> Result<Option<Exit>> {
    records::read(&dir.join(END), END, VERSION)
}

/// The kept end of a container, or the end of one that died with the machine. The latter is written once: an exit is
/// final, and so is its time.
pub fn kept_or_lost(dir: &Path, id: &ContainerId, started_at: Option<i64>, why: &str) -> State {
    let end = Exit::lost(started_at, why);
    match kept(dir) {
        Ok(Some(end)) => return State::Exited(end),
        Ok(None) => keep_now(dir, ids::short(id), &end),
        // It may become readable again.
        Err(error) if error.kind() == Kind::Unavailable => {
            tracing::error!(container = ids::short(id), %error, "cannot read the copy of the container's end now");
        }
        Err(error) => {
            tracing::error!(container = ids::short(id), %error, "the copy of the container's end is damaged");
            keep_now(dir, ids::short(id), &end);
        }
    }
    State::Exited(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::Reason;

    fn dirs<const N: usize>(home: &Path) -> [PathBuf; N] {
        std::array::from_fn(|n| {
            let dir = home.join(n.to_string());
            std::fs::create_dir(&dir).expect("directory");
            dir
        })
    }

    fn id(digit: char) -> ContainerId {
        ContainerId::of_digit(digit)
    }

    fn exit(code: i32) -> Exit {
        Exit {
            code,
            reason: Reason::Error,
            message: "said".into(),
            started_at: Some(3),
            finished_at: 4,
            identity: None,
        }
    }

    #[test]
    fn the_end_of_a_container_that_nobody_saw_is_told_once_and_stays() {
        let home = tempfile::tempdir().expect("directory");
        let dirs: [PathBuf; 2] = dirs(home.path());
        let first = kept_or_lost(&dirs[0], &id('a'), Some(7), "the machine was restarted");
        let State::Exited(end) = &first else { panic!("{first:?}") };
        assert_eq!((end.code, end.started_at, end.message.as_str()), (255, Some(7), "the machine was restarted"));
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(kept_or_lost(&dirs[0], &id('a'), None, "another start"), first);
        assert_ne!(
            kept_or_lost(&dirs[1], &id('b'), Some(7), "the machine was restarted"),
            first,
            "another container's is another"
        );
    }

    #[tokio::test]
    async fn an_end_that_was_kept_is_told_whole_and_is_not_replaced() {
        let home = tempfile::tempdir().expect("directory");
        let [dir] = dirs(home.path());
        keep(dir.clone(), &id('a'), &exit(7)).await;
        keep_if_new(&dir, &id('a'), &exit(9));
        assert_eq!(kept_or_lost(&dir, &id('a'), None, "the machine was restarted"), State::Exited(exit(7)));
    }

    #[test]
    fn a_torn_end_is_unknown_and_never_another_code() {
        let home = tempfile::tempdir().expect("directory");
        let [dir] = dirs(home.path());
        keep_if_new(&dir, &id('a'), &exit(7));
        let whole = std::fs::read(dir.join(END)).expect("written");
        for length in 0..whole.len() {
            for tail in [&[][..], &[0][..]] {
                std::fs::write(dir.join(END), [&whole[..length], tail].concat()).expect("torn");
                let State::Exited(end) = kept_or_lost(&dir, &id('a'), Some(3), "the machine was restarted") else {
                    panic!("{length}")
                };
                assert_eq!((end.code, end.reason), (255, Reason::Unknown), "{length} of {}", whole.len());
            }
        }
    }

    #[test]
    fn the_end_of_a_container_that_is_gone_makes_no_directory() {
        let home = tempfile::tempdir().expect("directory");
        keep_if_new(&home.path().join("gone"), &id('a'), &exit(7));
        assert!(!home.path().join("gone").exists());
    }
}
