// SPDX-License-Identifier: Apache-2.0
//! Cgroups of the floor: memory, cpu and pids, on version 1 (one directory each) or version 2 (one directory).

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{Error, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const NAME: &str = "gorae-floor";
/// How long the kernel may take to forget a process that ended.
const PATIENCE: Duration = Duration::from_secs(1);
const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];
const LIMITS_V1: [(&str, &str, &str); 5] = [
    ("memory", "memory.limit_in_bytes", "536870912"),
    ("cpu", "cpu.cfs_period_us", "100000"),
    ("cpu", "cpu.cfs_quota_us", "100000"),
    ("cpu", "cpu.shares", "102"),
    ("pids", "pids.max", "1000"),
];
const LIMITS_V2: [(&str, &str); 4] =
    [("memory.max", "536870912"), ("cpu.max", "100000 100000"), ("cpu.weight", "4"), ("pids.max", "1000")];

/// The group below which each iteration makes its own; gone when dropped.
pub enum Cgroups {
    /// Mount points with their controller.
    V1(Vec<(&'static str, PathBuf)>),
    /// The one mount point.
    V2(PathBuf),
}

/// How a container's first process gets in.
pub enum Entry {
    /// It writes `0` into these `tasks` files.
    Tasks(Vec<File>),
    /// It is born there.
    Directory(OwnedFd),
}

impl Cgroups {
    pub fn set_up() -> Result<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mounts")?;
        let lines: Vec<Vec<&str>> = mounts.lines().map(|line| line.split(' ').collect()).collect();
        let v2 = lines.iter().find(|l| l[2] == "cgroup2" && has_cpu(Path::new(l[1]))).map(|l| PathBuf::from(l[1]));
        let this = match v2 {
            Some(mount) => Self::V2(mount),
            None => {
                let mount = |name: &&'static str| {
                    let found = lines.iter().find(|l| l[2] == "cgroup" && l[3].split(',').any(|o| o == *name));
                    found.map(|l| (*name, PathBuf::from(l[1])))
                };
                Self::V1(CONTROLLERS.iter().filter_map(mount).collect())
            }
        };
        if matches!(&this, Self::V1(mounts) if mounts.len() != CONTROLLERS.len()) {
            bail!("neither cgroup v2 nor v1 has memory, cpu and pids");
        }
        if let Self::V2(mount) = &this {
            write(mount, "cgroup.subtree_control", "+memory +cpu +pids")?;
        }
        this.make("", false)?;
        Ok(this)
    }

    /// Makes a group; with limits it is one for processes.
    pub fn make(&self, name: &str, limits: bool) -> Result<()> {
        match self {
            Self::V1(mounts) => {
                for (controller, mount) in mounts {
                    let dir = mount.join(NAME).join(name);
                    make_dir(&dir)?;
                    let own = LIMITS_V1.iter().filter(|(of, ..)| limits && of == controller);
                    own.into_iter().try_for_each(|(_, file, value)| write(&dir, file, value))?;
                }
                Ok(())
            }
            Self::V2(mount) => {
                let dir = mount.join(NAME).join(name);
                make_dir(&dir)?;
                if !limits {
                    return write(&dir, "cgroup.subtree_control", "+memory +cpu +pids");
                }
                LIMITS_V2.iter().try_for_each(|(file, value)| write(&dir, file, value))
            }
        }
    }

    /// Opens what a process needs to get in.
    pub fn entry(&self, name: &str) -> Result<Entry> {
        match self {
            Self::V1(mounts) => {
                let open =
                    |mount: &Path| OpenOptions::new().write(true).open(mount.join(NAME).join(name).join("tasks"));
                Ok(Entry::Tasks(mounts.iter().map(|(_, mount)| open(mount)).collect::<Result<_, Error>>()?))
            }
            Self::V2(mount) => Ok(Entry::Directory(File::open(mount.join(NAME).join(name))?.into())),
        }
    }

    /// Removes a group as soon as the kernel lets go of the process that just ended in it.
    pub fn remove(&self, name: &str) -> Result<()> {
        let dirs: Vec<PathBuf> = match self {
            Self::V1(mounts) => mounts.iter().map(|(_, mount)| mount.join(NAME).join(name)).collect(),
            Self::V2(mount) => vec![mount.join(NAME).join(name)],
        };
        for dir in dirs {
            let begun = Instant::now();
            while let Err(errno) = rustix::fs::rmdir(&dir) {
                if errno != Errno::BUSY || begun.elapsed() > PATIENCE {
                    return Err(errno).with_context(|| format!("remove {}", dir.display()));
                }
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        Ok(())
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        let _ = self.remove("");
    }
}

fn has_cpu(mount: &Path) -> bool {
    std::fs::read_to_string(mount.join("cgroup.controllers"))
        .is_ok_and(|text| text.split_whitespace().any(|c| c == "cpu"))
}

fn make_dir(dir: &Path) -> Result<()> {
    match std::fs::create_dir(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(e).with_context(|| format!("make {}", dir.display()))
        }
        _ => Ok(()),
    }
}

fn write(dir: &Path, file: &str, value: &str) -> Result<()> {
    let open = OpenOptions::new().write(true).open(dir.join(file));
    open.and_then(|mut f| f.write_all(value.as_bytes())).with_context(|| format!("write {}/{file}", dir.display()))
}
