// SPDX-License-Identifier: Apache-2.0
//! Where a cgroup's directories are, and making them.

use super::file;
use crate::failure::{self, Kind, Result};
use crate::wire::{CgroupPlace, Resources};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The v1 controllers that every container gets a directory in.
const ALWAYS: [&str; 4] = ["memory", "cpu", "cpuacct", "pids"];

/// The v2 controllers that are handed down to containers where the kernel has them.
const DELEGATED: [&str; 7] = ["cpu", "cpuset", "io", "memory", "hugetlb", "pids", "rdma"];

/// A checked [`CgroupPlace`].
#[derive(Debug, Clone)]
pub struct Place {
    path: PathBuf,
    layout: Layout,
}

#[derive(Debug, Clone)]
enum Layout {
    /// Everything is in the one cgroup2 mount.
    V2 { mount: PathBuf },
    /// Controllers are in v1 hierarchies; a cgroup2 mount without controllers may stand beside them.
    V1 { unified: Option<PathBuf>, hierarchies: Vec<Hierarchy> },
}

#[derive(Debug, Clone)]
struct Hierarchy {
    mount: PathBuf,
    controllers: Vec<String>,
}

impl Place {
    /// Checks what the daemon sent: a path that is not the root and has no `..`.
    pub fn checked(wire: &CgroupPlace) -> Result<Self> {
        let refuse = |why| Err(failure::refused(Kind::InvalidArgument, "check cgroup", &wire.path, why));
        let path = PathBuf::from(wire.path.trim_start_matches('/'));
        if path.components().next().is_none() {
            return refuse("the root cgroup is nobody's");
        }
        if !path.components().all(|c| matches!(c, Component::Normal(_))) {
            return refuse("not a plain path");
        }
        let Some(layout) = &wire.layout else { return refuse("no layout") };
        let unified = (!layout.unified.is_empty()).then(|| PathBuf::from(&layout.unified));
        let layout = match unified {
            Some(mount) if layout.unified_has_controllers => Layout::V2 { mount },
            unified => Layout::V1 {
                unified,
                hierarchies: layout
                    .v1
                    .iter()
                    .map(|h| Hierarchy { mount: PathBuf::from(&h.mount_point), controllers: h.controllers.clone() })
                    .collect(),
            },
        };
        Ok(Self { path, layout })
    }

    /// The path below each mount point, for messages.
    pub fn path(&self) -> String {
        format!("/{}", self.path.display())
    }

    /// Whether the cgroup2 mount has the controllers.
    pub fn is_v2(&self) -> bool {
        matches!(self.layout, Layout::V2 { .. })
    }

    /// The directory in the cgroup2 mount, if there is one.
    pub fn unified_dir(&self) -> Option<PathBuf> {
        match &self.layout {
            Layout::V2 { mount } => Some(mount.join(&self.path)),
            Layout::V1 { unified, .. } => unified.as_ref().map(|mount| mount.join(&self.path)),
        }
    }

    /// Where cgroup2 is mounted.
    pub fn unified_mount(&self) -> Option<PathBuf> {
        match &self.layout {
            Layout::V2 { mount } => Some(mount.clone()),
            Layout::V1 { unified, .. } => unified.clone(),
        }
    }

    /// Names of controllers that share a hierarchy under another name, with that name.
    pub fn v1_links(&self) -> Vec<(String, String)> {
        let Layout::V1 { hierarchies, .. } = &self.layout else { return Vec::new() };
        let mut links = Vec::new();
        for hierarchy in hierarchies.iter().filter(|h| h.controllers.len() > 1 && h.mount.join(&self.path).is_dir()) {
            let Some(dir) = hierarchy.mount.file_name().map(|n| n.to_string_lossy().into_owned()) else { continue };
            let others = hierarchy.controllers.iter().filter(|c| **c != dir && !c.contains('='));
            links.extend(others.map(|c| (c.clone(), dir.clone())));
        }
        links
    }

    /// The directories in v1 hierarchies, whether they exist or not.
    pub fn v1_dirs(&self) -> Vec<PathBuf> {
        match &self.layout {
            Layout::V2 { .. } => Vec::new(),
            Layout::V1 { hierarchies, .. } => hierarchies.iter().map(|h| h.mount.join(&self.path)).collect(),
        }
    }

    /// Every directory of this cgroup, whether it exists or not.
    pub fn all_dirs(&self) -> Vec<PathBuf> {
        self.unified_dir().into_iter().chain(self.v1_dirs()).collect()
    }

    /// The directory that holds `controller`'s files; on v2 it is always the same one.
    pub fn controller_dir(&self, controller: &str) -> Option<PathBuf> {
        match &self.layout {
            Layout::V2 { mount } => Some(mount.join(&self.path)),
            Layout::V1 { hierarchies, .. } => hierarchies
                .iter()
                .find(|h| h.controllers.iter().any(|c| c == controller))
                .map(|h| h.mount.join(&self.path)),
        }
    }

    /// Mount directory name (as under /sys/fs/cgroup) and this cgroup's directory, of each hierarchy that it is in.
    pub fn v1_mounts(&self) -> Vec<(String, PathBuf)> {
        let Layout::V1 { hierarchies, .. } = &self.layout else { return Vec::new() };
        let name = |h: &Hierarchy| h.mount.file_name().map(|n| n.to_string_lossy().into_owned());
        hierarchies
            .iter()
            .filter_map(|h| Some((name(h)?, h.mount.join(&self.path))))
            .filter(|(_, dir)| dir.is_dir())
            .collect()
    }

    /// The v1 directories that `resources` need and that are not there yet.
    pub fn missing(&self, resources: &Resources) -> Vec<PathBuf> {
        let Layout::V1 { hierarchies, .. } = &self.layout else { return Vec::new() };
        let wanted = hierarchies.iter().filter(|h| h.is_wanted(resources)).map(|h| h.mount.join(&self.path));
        wanted.filter(|dir| !dir.is_dir()).collect()
    }

    /// The directory that a process with this `/proc/PID/cgroup` is in, of the hierarchy that `dir` belongs to.
    pub fn v1_home(&self, dir: &Path, cgroups: &str) -> Option<PathBuf> {
        let Layout::V1 { hierarchies, .. } = &self.layout else { return None };
        let hierarchy = hierarchies.iter().find(|h| dir.starts_with(&h.mount))?;
        cgroups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let same = controllers.split(',').any(|c| hierarchy.controllers.iter().any(|own| own == c));
            same.then(|| hierarchy.mount.join(path.trim_start_matches('/')))
        })
    }

    /// Makes the directories with their parents, controllers handed down.
    pub fn make(&self, resources: &Resources) -> Result<()> {
        match &self.layout {
            Layout::V2 { mount } => self.make_v2(mount),
            Layout::V1 { unified, hierarchies } => {
                let policy = |h: &Hierarchy| unified.is_none() && h.controllers.iter().any(|c| c == "devices");
                for hierarchy in hierarchies.iter().filter(|h| h.is_wanted(resources) || policy(h)) {
                    let cpuset = hierarchy.controllers.iter().any(|c| c == "cpuset");
                    self.make_below(&hierarchy.mount, if cpuset { inherit_cpuset } else { |_| Ok(()) })?;
                }
                unified.as_ref().map_or(Ok(()), |mount| self.make_below(mount, |_| Ok(())))
            }
        }
    }

    fn make_v2(&self, mount: &Path) -> Result<()> {
        let leaf = mount.join(&self.path);
        let parent = leaf.parent().unwrap_or(mount);
        if parent.is_dir() && missing_controllers(parent).is_empty() {
            return make_dir(&leaf).map(drop);
        }
        hand_down(mount)?;
        let mut dir = mount.to_path_buf();
        for part in self.path.parent().into_iter().flat_map(Path::components) {
            dir.push(part);
            make_dir(&dir)?;
            hand_down(&dir)?;
        }
        make_dir(&leaf).map(drop)
    }

    fn make_below(&self, mount: &Path, after: fn(&Path) -> io::Result<()>) -> Result<()> {
        let leaf = mount.join(&self.path);
        match fs::create_dir(&leaf) {
            Ok(()) => return after(&leaf).map_err(|e| failure::kernel("make cgroup", leaf.display().to_string(), e)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            Err(_) => {}
        }
        let mut dir = mount.to_path_buf();
        for part in self.path.components() {
            dir.push(part);
            if make_dir(&dir)? {
                after(&dir).map_err(|e| failure::kernel("make cgroup", dir.display().to_string(), e))?;
            }
        }
        Ok(())
    }
}

impl Hierarchy {
    /// Named hierarchies (`name=systemd`) and controllers that nobody asked for are left alone: each directory
    /// costs time and memory.
    fn is_wanted(&self, resources: &Resources) -> bool {
        let cpuset = !resources.cpuset_cpus.is_empty() || !resources.cpuset_mems.is_empty();
        let hugetlb = !resources.hugepages.is_empty();
        self.controllers
            .iter()
            .any(|c| ALWAYS.contains(&c.as_str()) || (c == "cpuset" && cpuset) || (c == "hugetlb" && hugetlb))
    }
}

/// Makes one directory; `false` when it was there.
fn make_dir(dir: &Path) -> Result<bool> {
    match fs::create_dir(dir) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(failure::kernel("make cgroup", dir.display().to_string(), e)),
    }
}

/// A fresh v1 cpuset has no CPUs and takes no process: it starts with its parent's.
fn inherit_cpuset(dir: &Path) -> io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let parent = dir.parent().unwrap_or(dir).join(file);
        fs::write(dir.join(file), fs::read(parent)?)?;
    }
    Ok(())
}

/// The controllers that `dir` has, that its children should have, and that they do not have yet.
fn missing_controllers(dir: &Path) -> Vec<&'static str> {
    let words = |file| fs::read_to_string(dir.join(file)).unwrap_or_default();
    let (have, given) = (words("cgroup.controllers"), words("cgroup.subtree_control"));
    let in_list = |list: &str, name: &str| list.split_whitespace().any(|word| word == name);
    DELEGATED.into_iter().filter(|name| in_list(&have, name) && !in_list(&given, name)).collect()
}

/// Enables `dir`'s controllers for its children.
///
/// All at once first; one by one when the kernel refuses, for one controller that cannot be enabled (cpu with
/// realtime processes, say) must not take the others along. What is then missing shows when its limit is written.
fn hand_down(dir: &Path) -> Result<()> {
    let missing = missing_controllers(dir);
    if missing.is_empty() {
        return Ok(());
    }
    let path = dir.join("cgroup.subtree_control");
    let all: Vec<String> = missing.iter().map(|name| format!("+{name}")).collect();
    let Err(first) = file::write(&path, &all.join(" ")) else { return Ok(()) };
    let enabled = all.iter().filter(|one| file::write(&path, one).is_ok()).count();
    if enabled == 0 { Err(failure::kernel("enable controllers", path.display().to_string(), first)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{CgroupLayout, V1Hierarchy};

    fn wire(path: &str) -> CgroupPlace {
        let v1 = vec![V1Hierarchy { mount_point: "/c/cpu".into(), controllers: vec!["cpu".into(), "cpuacct".into()] }];
        let layout = CgroupLayout { unified: "/c/unified".into(), unified_has_controllers: false, v1 };
        CgroupPlace { layout: Some(layout), path: path.into() }
    }

    #[test]
    fn a_path_that_leaves_the_mount_or_is_the_root_is_refused() {
        for bad in ["", "/", "/a/../b", "..", "a/..", "/./.."] {
            assert!(Place::checked(&wire(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn controllers_are_found_by_name_in_their_hierarchy() {
        let place = Place::checked(&wire("/pod/ctr")).expect("plain");
        assert_eq!(place.controller_dir("cpuacct"), Some("/c/cpu/pod/ctr".into()));
        assert_eq!(place.controller_dir("memory"), None);
        assert_eq!(place.unified_dir(), Some("/c/unified/pod/ctr".into()));
        let home = place.v1_home(Path::new("/c/cpu/pod/ctr"), "3:pids:/x\n4:cpu,cpuacct:/shim\n0::/\n");
        assert_eq!(home, Some("/c/cpu/shim".into()));
    }
}
