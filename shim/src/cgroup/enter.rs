// SPDX-License-Identifier: Apache-2.0
//! v1 hierarchies that a running container comes into later, for a limit that it was not started with.
//!
//! A fresh cgroup limits nothing more than its parent, so coming in and leaving change nothing by themselves.

use super::file;
use super::place::Place;
use super::remove::{self, listed};
use crate::failure::{self, Kind, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A process that is moved takes its later children along, so a few rounds find all that were forked meanwhile.
const ROUNDS: usize = 8;

/// Moves the container's processes into `fresh`, directories of its own that exist.
pub fn enter(place: &Place, fresh: &[PathBuf]) -> Result<()> {
    fresh.iter().try_for_each(|dir| enter_one(place, dir))
}

fn enter_one(place: &Place, dir: &Path) -> Result<()> {
    for _ in 0..ROUNDS {
        let inside = remove::processes_in(dir);
        let outside: BTreeSet<i32> = listed(place).difference(&inside).copied().collect();
        if outside.is_empty() {
            return Ok(());
        }
        for pid in outside {
            send(pid, dir).map_err(|e| failure::kernel("move a process to cgroup", dir.display().to_string(), e))?;
        }
    }
    let object = dir.display().to_string();
    Err(failure::refused(Kind::Internal, "move processes to cgroup", object, "new ones keep coming from outside"))
}

/// Moves the processes in `fresh` to where this process is, which is where they came from, and removes `fresh`.
pub fn leave(place: &Place, fresh: &[PathBuf]) {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    for dir in fresh {
        let home = place.v1_home(dir, &own);
        for pid in remove::processes_in(dir) {
            // One that stays is under no other limits than outside.
            let _ = home.as_ref().map(|home| send(pid, home));
        }
        let _ = fs::remove_dir(dir);
    }
}

/// Writing another process's id waits for the kernel (2 ms), which a change of limits can afford.
fn send(pid: i32, dir: &Path) -> std::io::Result<()> {
    match file::write(&dir.join("cgroup.procs"), &pid.to_string()) {
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        other => other,
    }
}
