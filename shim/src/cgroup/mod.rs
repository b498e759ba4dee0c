// SPDX-License-Identifier: Apache-2.0
//! One cgroup: made with its parents and limits, joined, killed, asked about OOM, removed.
//!
//! ```text
//! v2        MOUNT/path              limits, the container's processes, BPF device policy
//!           MOUNT/path/exec-N       one exec's processes: cgroup.kill ends exactly its tree
//! v1        MOUNT_i/path            limits, one directory per hierarchy that is used
//!           UNIFIED/path            no controllers: cgroup.kill, cgroup.events, BPF device policy
//!           UNIFIED/path/exec-N
//! ```
//!
//! `exec-N` enables no controllers, so v2's rule that a cgroup with controllers below it holds no processes does not
//! touch it: the container's first process stays in `path` itself, where programs look for their own limits, and
//! everything in `exec-N` counts against `path`.
//!
//! Writing another process's id into a v1 `cgroup.procs` waits for an RCU grace period (2 ms each). So nothing here
//! does: on v2 processes are born in the cgroup (`clone3`), on v1 a single-threaded child writes `0` to `tasks`.

mod enter;
mod events;
mod file;
mod limits;
mod place;
mod remove;
mod undo;
mod update;

pub use events::oom_kills;
pub use remove::{kill, processes, remove, remove_if_empty};

use crate::failure::{self, Result};
use crate::wire::{CgroupPlace, Resources};
use place::Place;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// A cgroup that exists, with the descriptors that joining it takes.
#[derive(Debug)]
pub struct Cgroup {
    place: Place,
    /// The directory in the cgroup2 mount, when there is one.
    unified: Option<OwnedFd>,
    /// The `tasks` file of each v1 hierarchy.
    tasks: Vec<File>,
}

/// Makes the cgroup at `place` with all missing parents, and sets `resources`. An existing one is taken over.
pub fn create(place: &CgroupPlace, resources: Option<&Resources>) -> Result<Cgroup> {
    let empty = Resources::default();
    let resources = resources.unwrap_or(&empty);
    let place = Place::checked(place)?;
    place.make(resources)?;
    let cgroup = Cgroup::open(place)?;
    limits::apply(&cgroup.place, resources)?;
    Ok(cgroup)
}

impl Cgroup {
    fn open(place: Place) -> Result<Self> {
        let unified = place.unified_dir().map(|dir| open_dir(&dir)).transpose()?;
        let tasks = open_tasks(&place.v1_dirs())?;
        Ok(Self { place, unified, tasks })
    }

    /// The directory to clone a process into.
    pub fn unified(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(AsFd::as_fd)
    }

    /// Moves the calling, single-threaded process into the v1 hierarchies; nothing to do on pure v2.
    pub fn join_v1(&self) -> Result<()> {
        use std::io::Write;
        for mut file in &self.tasks {
            file.write_all(b"0").map_err(|e| failure::kernel("join cgroup", self.place.path(), e))?;
        }
        Ok(())
    }

    /// What [`Cgroup::join_v1`] writes to.
    pub fn joins(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.tasks.iter().map(AsFd::as_fd)
    }

    /// Changes limits, all or none. Limits of a v1 hierarchy that the container is not in yet bring it in.
    pub fn update(&mut self, resources: &Resources) -> Result<()> {
        let fresh = self.place.missing(resources);
        match self.update_in(resources, &fresh) {
            Ok(tasks) => self.tasks.extend(tasks),
            Err(failure) => {
                enter::leave(&self.place, &fresh);
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Returns what joining `fresh` takes from now on.
    fn update_in(&self, resources: &Resources, fresh: &[PathBuf]) -> Result<Vec<File>> {
        self.place.make(resources)?;
        let tasks = open_tasks(fresh)?;
        enter::enter(&self.place, fresh)?;
        update::update(&self.place, resources)?;
        Ok(tasks)
    }

    /// The v1 directories of this container by controller, for the cgroup mount in the container.
    pub fn v1_mounts(&self) -> Vec<(String, PathBuf)> {
        self.place.v1_mounts()
    }

    /// Other names that v1 hierarchies have under /sys/fs/cgroup: link and directory ("cpu" and "cpu,cpuacct").
    pub fn v1_links(&self) -> Vec<(String, String)> {
        self.place.v1_links()
    }

    /// Where cgroup2 is mounted.
    pub fn unified_mount(&self) -> Option<PathBuf> {
        self.place.unified_mount()
    }

    /// Sends SIGKILL to every process in the cgroup and below.
    pub fn kill(&self) -> Result<()> {
        remove::kill_in(&self.place)
    }

    /// The processes in the cgroup and below.
    pub fn processes(&self) -> Vec<i32> {
        remove::listed(&self.place).into_iter().collect()
    }

    /// Removes the directories; waits up to a second for ended processes to leave.
    pub fn remove(&self) -> Result<()> {
        remove::remove_at(&self.place)
    }

    /// Whether the cgroup2 mount has the controllers.
    pub fn is_v2(&self) -> bool {
        self.place.is_v2()
    }

    /// Makes the sub-cgroup for an exec and opens it; `None` without a cgroup2 mount.
    pub fn make_exec(&self, exec: u64) -> Result<Option<OwnedFd>> {
        use rustix::fs::{Mode, OFlags, mkdirat, openat};
        let Some(dir) = &self.unified else { return Ok(None) };
        let name = format!("exec-{exec}");
        let fail = |e| failure::kernel("make cgroup", format!("{}/{name}", self.place.path()), e);
        mkdirat(dir, &name, Mode::from_raw_mode(0o755)).map_err(fail)?;
        openat(dir, &name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map(Some).map_err(fail)
    }

    /// Kills every process in an exec's sub-cgroup.
    pub fn kill_exec(&self, exec: u64) -> std::io::Result<()> {
        use rustix::fs::{Mode, OFlags, openat};
        let Some(dir) = &self.unified else { return Err(std::io::ErrorKind::NotFound.into()) };
        let file = openat(dir, format!("exec-{exec}/cgroup.kill"), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(file, b"1")?;
        Ok(())
    }

    /// Removes an exec's sub-cgroup; `false` while a process is in it.
    pub fn remove_exec(&self, exec: u64) -> bool {
        use rustix::fs::{AtFlags, unlinkat};
        let Some(dir) = &self.unified else { return true };
        !matches!(unlinkat(dir, format!("exec-{exec}"), AtFlags::REMOVEDIR), Err(rustix::io::Errno::BUSY))
    }
}

/// The `tasks` files of those of the v1 directories that are there.
fn open_tasks(dirs: &[PathBuf]) -> Result<Vec<File>> {
    let mut tasks = Vec::new();
    for dir in dirs {
        let file = dir.join("tasks");
        match OpenOptions::new().write(true).open(&file) {
            Ok(open) => tasks.push(open),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(failure::kernel("open", file.display().to_string(), e)),
        }
    }
    Ok(tasks)
}

fn open_dir(path: &std::path::Path) -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| failure::kernel("open cgroup", path.display().to_string(), e))
}
