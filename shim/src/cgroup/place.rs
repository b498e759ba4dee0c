// SPDX-License-Identifier: Apache-2.0
//! Where a cgroup's directories are, and how they are created.

use super::dir::Dir;
use super::dirs::{Dirs, V1};
use super::layout::{Hierarchy, Layout};
use crate::failure::{self, Kind, Result};
use crate::malformed::{self, Malformed, required};
use crate::wire::CgroupPlace;
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The v2 controllers that are enabled for containers if the kernel has them.
const DELEGATED: [&str; 7] = ["cpu", "cpuset", "io", "memory", "hugetlb", "pids", "rdma"];

/// A checked [`CgroupPlace`].
#[derive(Debug, Clone)]
pub struct Place {
    layout: Layout,
    path: PathBuf,
}

impl Place {
    /// Checks the message: the path must not be the root and must have no `..`.
    ///
    /// # Errors
    /// For any other path, and for a missing layout.
    pub fn checked(wire: CgroupPlace) -> malformed::Result<Self> {
        let layout = Layout::checked(required("layout", wire.layout)?).map_err(|wrong| wrong.within("layout"))?;
        Self::new(layout, "path", &wire.path)
    }

    /// The place at `path`; `field` is the path's name in the message.
    ///
    /// # Errors
    /// For the root, and for a path with anything but plain names.
    pub fn new(layout: Layout, field: &str, path: &str) -> malformed::Result<Self> {
        let plain = PathBuf::from(path.trim_start_matches('/'));
        if plain.components().next().is_none() {
            return Err(Malformed::new(field, "the root cgroup cannot be used"));
        }
        if !plain.components().all(|c| matches!(c, Component::Normal(_))) || path.contains('\0') {
            return Err(Malformed::new(field, format!("{path:?} is not a plain path")));
        }
        Ok(Self { layout, path: plain })
    }

    /// The child cgroup of this name.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        Self { layout: self.layout.clone(), path: self.path.join(name) }
    }

    /// The path below each mount point, for messages.
    pub fn path(&self) -> String {
        format!("/{}", self.path.display())
    }

    /// Where cgroup2 is mounted.
    pub fn unified_mount(&self) -> Option<&Path> {
        self.layout.unified.as_deref()
    }

    /// The path of the parent cgroup, and the name of this one in it.
    pub fn split(&self) -> (&Path, &OsStr) {
        (self.path.parent().unwrap_or(Path::new("")), self.path.file_name().unwrap_or_default())
    }

    /// Opens the mount of every hierarchy; cgroup2's is the first.
    ///
    /// # Errors
    /// `FailedPrecondition` with the mount point when no cgroup file system is mounted there (any more).
    pub fn roots(&self) -> Result<Vec<Dir>> {
        let v1 = self.layout.hierarchies.iter().map(|hierarchy| hierarchy.mount_point.as_path());
        self.layout.unified.iter().map(PathBuf::as_path).chain(v1).map(root).collect()
    }

    /// Creates the missing directories, as [`Self::make`] does.
    ///
    /// # Errors
    /// As [`Self::make`].
    pub fn ensure(&self) -> Result<()> {
        let is_there = |root: &Dir| root.walk(&self.path).is_ok();
        if self.roots()?.iter().all(is_there) { Ok(()) } else { self.make().map(drop) }
    }

    /// Creates the directories and their parents in every hierarchy, enables controllers on the way, and opens them.
    ///
    /// # Errors
    /// `FailedPrecondition` with the mount point when no cgroup file system is mounted there; otherwise the kernel's error,
    /// with the directory or the file.
    pub fn make(&self) -> Result<Dirs> {
        let unified = match &self.layout.unified {
            Some(mount) if self.layout.is_v2 => Some(self.make_v2(&root(mount)?)?),
            Some(mount) => Some(self.make_below(&root(mount)?, |_, _| Ok(()))?),
            None => None,
        };
        let v1 = self.layout.hierarchies.iter().map(|hierarchy| self.make_v1(hierarchy)).collect::<Result<_>>()?;
        Ok(Dirs { unified, v1, is_v2: self.layout.is_v2 })
    }

    fn make_v1(&self, hierarchy: &Hierarchy) -> Result<V1> {
        let mount = hierarchy.mount_point.as_path();
        let controllers = hierarchy.controllers.clone();
        let is_cpuset = controllers.iter().any(|c| c == "cpuset");
        let dir = self.make_below(&root(mount)?, if is_cpuset { inherit_cpuset } else { |_, _| Ok(()) })?;
        Ok(V1 { dir, mount: mount.file_name().unwrap_or_default().to_owned(), controllers })
    }

    fn make_v2(&self, root: &Dir) -> Result<Dir> {
        let (above, name) = self.split();
        match root.walk(above) {
            Ok(parent) if missing_controllers(&parent).is_empty() => return made(&parent, name),
            _ => hand_down(root)?,
        }
        let mut dir = again(root)?;
        for part in above {
            dir = made(&dir, part)?;
            hand_down(&dir)?;
        }
        made(&dir, name)
    }

    /// Creates and opens the directories; calls `after` with each parent and its child.
    fn make_below(&self, root: &Dir, after: fn(&Dir, &Dir) -> io::Result<()>) -> Result<Dir> {
        let finish = |above: &Dir, dir: Dir| match after(above, &dir) {
            Ok(()) => Ok(dir),
            Err(e) => Err(failure::kernel("make cgroup", dir.path().display().to_string(), e)),
        };
        let (above, name) = self.split();
        // The parent usually exists. If it does not, or is not set up, the whole path is walked from the root.
        if let Ok(parent) = root.walk(above)
            && let Ok(dir) = made(&parent, name).and_then(|dir| finish(&parent, dir))
        {
            return Ok(dir);
        }
        let mut dir = again(root)?;
        for part in &self.path {
            let below = made(&dir, part)?;
            dir = finish(&dir, below)?;
        }
        Ok(dir)
    }
}

/// Opens a hierarchy.
pub(super) fn root(mount: &Path) -> Result<Dir> {
    let name = || mount.display().to_string();
    Dir::root(mount).map_err(|e| match e.raw_os_error() {
        Some(libc::EXDEV | libc::ENOENT) => {
            let why =
                "no cgroup hierarchy is mounted there any more; mount it, or restart goraed to continue without it";
            failure::refused(Kind::FailedPrecondition, "open cgroup", name(), why)
        }
        _ => failure::kernel("open cgroup", name(), e),
    })
}

fn again(dir: &Dir) -> Result<Dir> {
    dir.walk(".").map_err(|e| failure::kernel("open cgroup", dir.path().display().to_string(), e))
}

/// Creates a group if it does not exist, and opens it.
fn made(parent: &Dir, name: &OsStr) -> Result<Dir> {
    let made = parent.make(name).and_then(|_| parent.walk(name));
    made.map_err(|e| failure::kernel("make cgroup", parent.path().join(name).display().to_string(), e))
}

/// Fills in a cpuset. A new v1 cpuset has no CPUs and accepts no process, so it starts with its parent's. So does one
/// that something else left empty. Groups below one that was filled here inherit at creation, which takes a fifth of
/// the time.
fn inherit_cpuset(parent: &Dir, dir: &Dir) -> io::Result<()> {
    let mut was_empty = false;
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if !dir.read(file)?.trim_end().is_empty() {
            continue;
        }
        match parent.read(file)?.trim_end() {
            "" => return Err(io::Error::from_raw_os_error(libc::ENOSPC)),
            has => dir.write(file, has)?,
        }
        was_empty = true;
    }
    if was_empty { dir.write("cgroup.clone_children", "1") } else { Ok(()) }
}

/// The controllers that `dir` has and its children should have, but do not have yet.
fn missing_controllers(dir: &Dir) -> Vec<&'static str> {
    let words = |file| dir.read(file).unwrap_or_default();
    let (have, given) = (words("cgroup.controllers"), words("cgroup.subtree_control"));
    let in_list = |list: &str, name: &str| list.split_whitespace().any(|word| word == name);
    DELEGATED.into_iter().filter(|name| in_list(&have, name) && !in_list(&given, name)).collect()
}

/// Enables `dir`'s controllers for its children.
///
/// Tries all at once, then one by one when the kernel refuses: one controller that cannot be enabled (cpu with realtime
/// processes, say) must not block the others. A controller that is still missing shows when its limit is written.
fn hand_down(dir: &Dir) -> Result<()> {
    const FILE: &str = "cgroup.subtree_control";
    let missing = missing_controllers(dir);
    if missing.is_empty() {
        return Ok(());
    }
    let all: Vec<String> = missing.iter().map(|name| format!("+{name}")).collect();
    let Err(first) = dir.write(FILE, &all.join(" ")) else { return Ok(()) };
    let enabled = all.iter().filter(|one| dir.write(FILE, one).is_ok()).count();
    if enabled == 0 { Err(failure::kernel("enable controllers", dir.show(FILE), first)) } else { Ok(()) }
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
            let failure = failure::Failure::from(Place::checked(wire(bad)).unwrap_err());
            assert_eq!(failure.object, "path", "{bad}");
        }
        let good = Place::checked(wire("/pod/ctr")).unwrap();
        assert_eq!(good.split(), (Path::new("pod"), OsStr::new("ctr")));
        assert_eq!(good.below("init").path(), "/pod/ctr/init");
        let without_layout = CgroupPlace { layout: None, ..wire("/pod") };
        assert!(Place::checked(without_layout).is_err());
    }

    #[test]
    fn a_hierarchy_that_is_not_mounted_fails_the_cgroup_and_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mount_point = dir.path().display().to_string();
        let v1 = vec![V1Hierarchy { mount_point: mount_point.clone(), controllers: vec!["pids".into()] }];
        let layout = CgroupLayout { v1, ..CgroupLayout::default() };
        let place = Place::checked(CgroupPlace { layout: Some(layout), path: "/pod/ctr".into() }).unwrap();
        let failure = place.make().unwrap_err();
        assert_eq!((failure.kind(), failure.object.as_str()), (Kind::FailedPrecondition, mount_point.as_str()));
        assert!(!dir.path().join("pod").exists());
    }

    #[test]
    fn a_cpuset_that_says_nothing_gets_its_parents() {
        let dir = tempfile::tempdir().unwrap();
        let (above, below) = (dir.path().to_owned(), dir.path().join("below"));
        std::fs::create_dir(&below).unwrap();
        for (file, here, there) in
            [("cpuset.cpus", "0-3\n", "\n"), ("cpuset.mems", "0\n", "0-1\n"), ("cgroup.clone_children", "0\n", "0\n")]
        {
            std::fs::write(above.join(file), here).unwrap();
            std::fs::write(below.join(file), there).unwrap();
        }
        let (above, below) = (Dir::of_test(&above), Dir::of_test(&below));
        inherit_cpuset(&above, &below).unwrap();
        assert!(below.read("cpuset.cpus").unwrap().starts_with("0-3"));
        assert_eq!(below.read("cpuset.mems").unwrap(), "0-1\n", "it has its own");
        assert_eq!(below.read("cgroup.clone_children").unwrap(), "1\n");
    }
}
