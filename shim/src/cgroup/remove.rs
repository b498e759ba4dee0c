// SPDX-License-Identifier: Apache-2.0
//! Kills the processes in a cgroup and removes its directories. Everything here is idempotent, and mounts over a group
//! do not get in the way.
//!
//! The directory in the cgroup2 mount is created first and removed last: where it is missing, the other hierarchies
//! have nothing either.

use super::dir::Dir;
use super::dirs::Dirs;
use super::place::{Place, root};
use crate::failure::{self, Result};
use crate::sys;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long [`remove`] retries while the cgroup is busy: killed processes need a moment to exit.
const REMOVE_PATIENCE: Duration = Duration::from_secs(1);

/// Steps of a removal before it gives up: groups are then being created faster than they are removed.
const MOST_STEPS: usize = 1 << 21;

/// Sends SIGKILL to every process in the cgroup and below. A missing cgroup is not an error; returns `false` when none
/// of its directories exist, so that nothing is left to remove.
///
/// - Source: `cgroup.kill` (5.14). Without it, processes are listed and killed until none is left, for a few rounds at
///   most.
///
/// # Errors
/// As [`Place::roots`]; otherwise the kernel's error, with the cgroup.
pub fn kill(place: &Place) -> Result<bool> {
    if let Some(mount) = place.unified_mount() {
        // All our processes are in the cgroup2 directory, even where v1 has the controllers.
        let Some(unified) = find(&root(mount)?, &place.path())? else { return Ok(false) };
        if kill_at_once(&unified).map_err(|e| failure::kernel("kill cgroup", place.path(), e))? {
            return Ok(true);
        }
    }
    let found = found(place)?;
    kill_each(|| listed_in(found.iter().flatten()));
    Ok(found.iter().any(Option::is_some))
}

pub(super) fn kill_in(dirs: &Dirs) -> io::Result<()> {
    let killed = dirs.unified.as_ref().map_or(Ok(false), kill_at_once)?;
    if !killed {
        kill_each(|| listed(dirs));
    }
    Ok(())
}

/// Kills with `cgroup.kill`; `false` when the group is gone or the kernel has no such file.
fn kill_at_once(unified: &Dir) -> io::Result<bool> {
    gone(unified.uncovered("cgroup.kill", || unified.write("cgroup.kill", "1"))).map(|written| written.is_some())
}

fn kill_each(list: impl Fn() -> BTreeSet<i32>) {
    for _ in 0..8 {
        let pids = list();
        if pids.is_empty() {
            break;
        }
        for pid in pids {
            kill_pid(pid);
        }
    }
}

/// The cgroup's directory in each hierarchy; `None` where it is gone.
fn found(place: &Place) -> Result<Vec<Option<Dir>>> {
    place.roots()?.iter().map(|root| find(root, &place.path())).collect()
}

/// Walks down, and unmounts whatever is mounted over one of the groups.
fn find(root: &Dir, path: &str) -> Result<Option<Dir>> {
    let fail = |dir: &Dir, e| failure::kernel("open cgroup", dir.path().display().to_string(), e);
    let mut dir = match root.walk(path.trim_start_matches('/')) {
        Err(e) if e.raw_os_error() == Some(libc::EXDEV) => root.walk(".").map_err(|e| fail(root, e))?,
        other => return gone(other).map_err(|e| fail(root, e)),
    };
    for part in Path::new(path.trim_start_matches('/')) {
        match gone(dir.uncovered(part, || dir.walk(part))) {
            Ok(Some(below)) => dir = below,
            Ok(None) => return Ok(None),
            Err(e) => return Err(fail(&dir, e)),
        }
    }
    Ok(Some(dir))
}

/// Turns "does not exist (any more)" into `None`.
fn gone<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => Ok(None),
        other => other.map(Some),
    }
}

/// The processes in the cgroup and below, in all its hierarchies.
///
/// # Errors
/// As [`Place::roots`]; otherwise the kernel's error, with the cgroup.
pub fn processes(place: &Place) -> Result<Vec<i32>> {
    let found = found(place)?;
    Ok(listed_in(found.iter().flatten()).into_iter().collect())
}

pub(super) fn listed(dirs: &Dirs) -> BTreeSet<i32> {
    listed_in(dirs.all())
}

fn listed_in<'a>(dirs: impl Iterator<Item = &'a Dir>) -> BTreeSet<i32> {
    let mut pids = BTreeSet::new();
    for dir in dirs {
        dir.each(|group| {
            let text = group.read("cgroup.procs").unwrap_or_default();
            // 0 stands for a process outside our pid namespace, which we cannot signal by number.
            pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|&pid| pid > 0));
        });
    }
    pids
}

/// Kills a process through a pidfd. The only risk left is that its pid was reused since it was listed.
fn kill_pid(pid: i32) {
    let Some(pid) = rustix::process::Pid::from_raw(pid) else { return };
    if let Ok(pidfd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        let _ = sys::pidfd_send_signal(std::os::fd::AsFd::as_fd(&pidfd), libc::SIGKILL);
    }
}

/// Removes the cgroup's directories with everything below them; waits up to a second for killed processes to leave.
///
/// # Errors
/// `EBUSY` with the directory's name when processes are still in it after that.
pub fn remove(place: &Place) -> Result<()> {
    let (above, name) = place.split();
    let above = above.display().to_string();
    let deadline = Instant::now() + REMOVE_PATIENCE;
    for root in place.roots()?.into_iter().rev() {
        if let Some(parent) = find(&root, &above)? {
            remove_group(parent, name, deadline)?;
        }
    }
    Ok(())
}

/// Like [`remove`], but uses the open directories; `EXDEV` when something is mounted over a parent.
pub(super) fn remove_at(dirs: &Dirs) -> Result<()> {
    let deadline = Instant::now() + REMOVE_PATIENCE;
    for dir in dirs.v1.iter().map(|v1| &v1.dir).chain(&dirs.unified) {
        let fail = |e| failure::kernel("remove cgroup", dir.path().display().to_string(), e);
        // A group that is gone has no parent.
        let Some(parent) = gone(dir.parent()).map_err(fail)? else { continue };
        remove_group(parent, dir.name(), deadline)?;
    }
    Ok(())
}

/// Removes a (parent) cgroup's directories if they are empty: no processes, no groups below. Never waits.
///
/// # Errors
/// As [`Place::roots`]; otherwise the kernel's error, with the directory. One that is in use or gone is not an error.
pub fn remove_if_empty(place: &Place) -> Result<()> {
    let (above, name) = place.split();
    for root in place.roots()? {
        let parent = gone(root.walk(above));
        match parent.and_then(|parent| parent.map_or(Ok(()), |parent| parent.remove(name))) {
            Ok(()) => {}
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EBUSY | libc::ENOTEMPTY)) => {}
            Err(e) => {
                let path = root.path().join(above).join(name);
                return Err(failure::kernel("remove cgroup", path.display().to_string(), e));
            }
        }
    }
    Ok(())
}

fn remove_group(parent: Dir, name: &OsStr, deadline: Instant) -> Result<()> {
    let path = parent.path().join(name);
    remove_tree(parent, name, deadline).map_err(|e| failure::kernel("remove cgroup", path.display().to_string(), e))
}

/// Removes the group and those below it, deepest first; `above` and `way` track the current position. Only the wait for
/// processes has a deadline: however many groups a container has made, a retry would find as many.
fn remove_tree(mut above: Dir, name: &OsStr, deadline: Instant) -> io::Result<()> {
    let mut way: Vec<OsString> = vec![name.to_owned()];
    let mut pause = Duration::from_micros(100);
    for _ in 0..MOST_STEPS {
        let Some(name) = way.last() else { return Ok(()) };
        let busy = match above.remove(name) {
            Ok(()) => None,
            Err(e) => match e.raw_os_error() {
                Some(libc::ENOENT) => None,
                Some(libc::EBUSY | libc::ENOTEMPTY) => Some(e),
                _ => return Err(e),
            },
        };
        let Some(busy) = busy else {
            way.pop();
            if !way.is_empty() {
                above = above.parent()?;
            }
            continue;
        };
        // Something mounted over the group also keeps it busy.
        let Some(dir) = gone(above.uncovered(name, || above.walk(name)))? else { continue };
        match dir.names().pop() {
            Some(below) => {
                above = dir;
                way.push(below);
            }
            None if Instant::now() < deadline => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            None => return Err(busy),
        }
    }
    Err(io::Error::from_raw_os_error(libc::EBUSY))
}
