// SPDX-License-Identifier: Apache-2.0
//! Ending a cgroup: kill what is in it, remove its directories. All of it idempotent.

use super::file;
use super::place::Place;
use crate::failure::{self, Result};
use crate::sys;
use crate::wire::CgroupPlace;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long [`remove`] tries while the kernel says that the cgroup is busy: killed processes need a moment to end.
const REMOVE_PATIENCE: Duration = Duration::from_secs(1);

/// Sends SIGKILL to every process in the cgroup and below. A cgroup that is gone is fine.
///
/// - Source: `cgroup.kill` (5.14); without it, the processes are listed and killed until none is left to list, at
///   most some rounds.
pub fn kill(place: &CgroupPlace) -> Result<()> {
    kill_in(&Place::checked(place)?)
}

pub(super) fn kill_in(place: &Place) -> Result<()> {
    if let Some(dir) = place.unified_dir() {
        // Every process of ours is in the cgroup2 directory, also where the controllers are v1's.
        match file::write(&dir.join("cgroup.kill"), "1") {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(failure::kernel("kill cgroup", place.path(), e)),
        }
    }
    for _ in 0..8 {
        let pids = listed(place);
        if pids.is_empty() {
            break;
        }
        for pid in pids {
            kill_pid(pid);
        }
    }
    Ok(())
}

/// The processes in the cgroup and below, in all its hierarchies.
pub fn processes(place: &CgroupPlace) -> Result<Vec<i32>> {
    Ok(listed(&Place::checked(place)?).into_iter().collect())
}

pub(super) fn listed(place: &Place) -> BTreeSet<i32> {
    let mut pids = BTreeSet::new();
    for dir in place.all_dirs() {
        collect(&dir, &mut pids);
    }
    pids
}

/// The processes in one directory and below.
pub(super) fn processes_in(dir: &Path) -> BTreeSet<i32> {
    let mut pids = BTreeSet::new();
    collect(dir, &mut pids);
    pids
}

fn collect(dir: &Path, pids: &mut BTreeSet<i32>) {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    // 0 is a process that is not in our pid namespace's view: not ours to signal by number.
    pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|&pid| pid > 0));
    for child in children(dir) {
        collect(&child, pids);
    }
}

/// Kills by pidfd and only if it is alive, so that a number that was reused in between is the only risk left.
fn kill_pid(pid: i32) {
    let Some(pid) = rustix::process::Pid::from_raw(pid) else { return };
    if let Ok(pidfd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        let _ = sys::pidfd_send_signal(std::os::fd::AsFd::as_fd(&pidfd), libc::SIGKILL);
    }
}

/// Removes the cgroup's directories with everything below them; waits up to a second for ended processes to leave.
///
/// - Errors: `EBUSY` with the directory's name when processes are still in it then.
pub fn remove(place: &CgroupPlace) -> Result<()> {
    remove_at(&Place::checked(place)?)
}

pub(super) fn remove_at(place: &Place) -> Result<()> {
    let deadline = Instant::now() + REMOVE_PATIENCE;
    for dir in place.all_dirs() {
        remove_dir(&dir, deadline).map_err(|e| failure::kernel("remove cgroup", dir.display().to_string(), e))?;
    }
    Ok(())
}

/// Removes a (parent) cgroup's directories where they are empty: no processes, nothing below. Never waits.
pub fn remove_if_empty(place: &CgroupPlace) -> Result<()> {
    for dir in Place::checked(place)?.all_dirs() {
        match fs::remove_dir(&dir) {
            Ok(()) => {}
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EBUSY | libc::ENOTEMPTY)) => {}
            Err(e) => return Err(failure::kernel("remove cgroup", dir.display().to_string(), e)),
        }
    }
    Ok(())
}

fn remove_dir(dir: &Path, deadline: Instant) -> io::Result<()> {
    let mut pause = Duration::from_micros(100);
    loop {
        let Err(e) = fs::remove_dir(dir) else { return Ok(()) };
        match e.raw_os_error() {
            Some(libc::ENOENT) => return Ok(()),
            Some(libc::EBUSY | libc::ENOTEMPTY) if Instant::now() < deadline => {}
            _ => return Err(e),
        }
        let below = children(dir);
        for child in &below {
            remove_dir(child, deadline)?;
        }
        if below.is_empty() {
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

fn children(dir: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}
