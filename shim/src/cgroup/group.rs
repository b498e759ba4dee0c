// SPDX-License-Identifier: Apache-2.0
//! An existing cgroup, with its directories open.

use super::dir::Dir;
use super::dirs::Dirs;
use super::place::Place;
use super::resources::Resources;
use super::{limits, remove, update};
use crate::failure::{self, Result};
use rustix::fs::OFlags;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A cgroup that exists, with the descriptors that are needed to join it.
#[derive(Debug)]
pub struct Cgroup {
    place: Place,
    dirs: Dirs,
    /// The `tasks` file of each v1 hierarchy.
    tasks: Vec<File>,
}

/// Creates the cgroup at `place` with all missing parents, and sets `resources`. An existing one is reused.
///
/// # Errors
/// As [`Place::make`]; then the kernel's error, with the file and the value that it refused. What was made stays.
pub fn create(place: Place, resources: &Resources) -> Result<Cgroup> {
    let dirs = place.make()?;
    let tasks = dirs.v1.iter().map(|v1| open_tasks(&v1.dir)).collect::<Result<_>>()?;
    let cgroup = Cgroup { place, dirs, tasks };
    limits::apply(&cgroup.dirs, resources)?;
    Ok(cgroup)
}

/// Makes sure that the cgroup at `place` exists in every hierarchy. Its controllers are enabled when a child is
/// created.
///
/// # Errors
/// As [`Place::make`].
pub fn ensure(place: &Place) -> Result<()> {
    place.ensure()
}

impl Cgroup {
    /// The directory to clone a process into.
    pub fn unified(&self) -> Option<BorrowedFd<'_>> {
        self.dirs.unified.as_ref().map(AsFd::as_fd)
    }

    /// The directory that holds a controller's files.
    pub fn controller(&self, controller: &str) -> Option<&Dir> {
        self.dirs.controller(controller)
    }

    /// Moves the calling, single-threaded process into the v1 hierarchies; does nothing on pure v2.
    ///
    /// # Errors
    /// The kernel's error, with the cgroup. The process may have moved in some hierarchies.
    pub fn join_v1(&self) -> Result<()> {
        for mut file in &self.tasks {
            file.write_all(b"0").map_err(|e| failure::kernel("join cgroup", self.place.path(), e))?;
        }
        Ok(())
    }

    /// Changes all the limits, or none.
    ///
    /// # Errors
    /// `FailedPrecondition` for a limit below what is in use; otherwise the kernel's error, with the file and the value. A
    /// failure to restore an old value is in the same message.
    pub fn update(&self, resources: &Resources) -> Result<()> {
        update::update(&self.dirs, resources)
    }

    /// This container's v1 directories with the names of their hierarchies' mount points, for the cgroup mount in the
    /// container.
    pub fn v1_mounts(&self) -> impl Iterator<Item = (&OsStr, &Dir)> {
        self.dirs.v1.iter().map(|v1| (v1.mount.as_os_str(), &v1.dir))
    }

    /// Other names that v1 hierarchies have under /sys/fs/cgroup: link and directory ("cpu" and "cpu,cpuacct").
    pub fn v1_links(&self) -> Vec<(&str, &OsStr)> {
        let shared = self.dirs.v1.iter().filter(|v1| v1.controllers.len() > 1);
        let links = shared.flat_map(|v1| v1.controllers.iter().map(|c| (c.as_str(), v1.mount.as_os_str())));
        links.filter(|(link, mount)| link != mount).collect()
    }

    /// Where cgroup2 is mounted.
    pub fn unified_mount(&self) -> Option<&Path> {
        self.place.unified_mount()
    }

    /// Sends SIGKILL to every process in the cgroup and below.
    ///
    /// # Errors
    /// The kernel's error, with the cgroup. One that is gone is not an error.
    pub fn kill(&self) -> Result<()> {
        remove::kill_in(&self.dirs).map_err(|e| failure::kernel("kill cgroup", self.place.path(), e))
    }

    /// The processes in the cgroup and below.
    pub fn processes(&self) -> Vec<i32> {
        remove::listed(&self.dirs).into_iter().collect()
    }

    /// Removes the directories; waits up to a second for killed processes to leave.
    ///
    /// # Errors
    /// `EBUSY` when a process stays; otherwise the kernel's error, with the directory. One that is gone is not an error.
    pub fn remove(&self) -> Result<()> {
        match remove::remove_at(&self.dirs) {
            Err(failure) if failure.errno == libc::EXDEV => remove::remove(&self.place),
            other => other,
        }
    }

    /// Whether the cgroup2 mount has the controllers.
    pub fn is_v2(&self) -> bool {
        self.dirs.is_v2
    }

    /// Creates the sub-cgroup for an exec and opens it; `None` without a cgroup2 mount.
    ///
    /// # Errors
    /// The kernel's error, with the cgroup.
    pub fn make_exec(&self, exec: u64) -> Result<Option<OwnedFd>> {
        let Some(dir) = &self.dirs.unified else { return Ok(None) };
        let name = exec_name(exec);
        let made = dir.make(&name).and_then(|_| dir.walk(&name));
        let object = || format!("{}/{}", self.place.path(), name.display());
        made.map(|dir| Some(dir.into())).map_err(|e| failure::kernel("make cgroup", object(), e))
    }

    /// Kills every process in an exec's sub-cgroup.
    ///
    /// # Errors
    /// The kernel's error; `NotFound` without a cgroup2 mount or before Linux 5.14.
    pub fn kill_exec(&self, exec: u64) -> io::Result<()> {
        let Some(dir) = &self.dirs.unified else { return Err(io::ErrorKind::NotFound.into()) };
        dir.write(&format!("exec-{exec}/cgroup.kill"), "1")
    }

    /// Removes an exec's sub-cgroup; `false` while it contains a process.
    pub fn remove_exec(&self, exec: u64) -> bool {
        let Some(dir) = &self.dirs.unified else { return true };
        !matches!(dir.remove(&exec_name(exec)), Err(e) if e.raw_os_error() == Some(libc::EBUSY))
    }
}

fn exec_name(exec: u64) -> OsString {
    format!("exec-{exec}").into()
}

/// The `tasks` file of a v1 directory.
fn open_tasks(dir: &Dir) -> Result<File> {
    dir.open("tasks", OFlags::WRONLY).map(File::from).map_err(|e| failure::kernel("open", dir.show("tasks"), e))
}
