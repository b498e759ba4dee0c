// SPDX-License-Identifier: Apache-2.0
//! The machine's cgroup hierarchies, held open while the daemon runs.
//!
//! A look-up by path goes through a mount table, where somebody may have mounted something over a cgroup: a link to a
//! file of the host, or a FIFO on which an open hangs. So the daemon has its own mounts, which are in no mount table
//! (`gorae_shims::mount_cgroups`), and walks down from them. It never walks up, through a link or into another mount.

use gorae_proto::shim::CgroupLayout;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The open hierarchies.
#[derive(Debug)]
pub struct Hierarchies {
    unified: Option<OwnedFd>,
    v1: Vec<(Vec<String>, OwnedFd)>,
    is_v2: bool,
}

impl Hierarchies {
    /// The mount points whose mounts [`Hierarchies::new`] expects, in that order.
    pub fn mount_points(layout: &CgroupLayout) -> Vec<String> {
        let unified = Some(&layout.unified).filter(|mount_point| !mount_point.is_empty());
        unified.into_iter().chain(layout.v1.iter().map(|hierarchy| &hierarchy.mount_point)).cloned().collect()
    }

    /// Takes the mounts of a machine's hierarchies; `None` when their number differs from that of the mount points.
    pub fn new(layout: &CgroupLayout, mounts: Vec<OwnedFd>) -> Option<Self> {
        if mounts.len() != Self::mount_points(layout).len() {
            return None;
        }
        let mut mounts = mounts.into_iter();
        let unified = if layout.unified.is_empty() { None } else { mounts.next() };
        let v1 = layout.v1.iter().map(|hierarchy| hierarchy.controllers.clone()).zip(mounts).collect();
        Some(Self { unified, v1, is_v2: layout.unified_has_controllers })
    }

    /// Whether the unified hierarchy has the controllers.
    pub fn is_v2(&self) -> bool {
        self.is_v2
    }

    /// The unified hierarchy; `None` on a pure v1 machine.
    pub fn unified(&self) -> Option<&OwnedFd> {
        self.unified.as_ref()
    }

    /// The index of a controller's hierarchy in [`Hierarchies::v1`].
    pub fn position(&self, controller: &str) -> Option<usize> {
        self.v1.iter().position(|(controllers, _)| controllers.iter().any(|c| c == controller))
    }

    /// The v1 hierarchies, in mount order; empty on a pure v2 machine.
    pub fn v1(&self) -> impl ExactSizeIterator<Item = &OwnedFd> {
        self.v1.iter().map(|(_, root)| root)
    }

    /// Every hierarchy, the unified one last.
    pub fn all(&self) -> impl Iterator<Item = &OwnedFd> {
        self.v1().chain(self.unified())
    }

    /// Whether the cgroup exists in any hierarchy.
    pub fn have(&self, path: &str) -> bool {
        self.all().any(|root| open(root, path.trim_start_matches('/'), OFlags::PATH).is_ok())
    }

    /// Removes a cgroup from each hierarchy in which it is empty.
    pub fn remove_where_empty(&self, name: &str) {
        for root in self.all() {
            // A cgroup that is not empty, or missing, is fine.
            let _ = rustix::fs::unlinkat(root, name.trim_start_matches('/'), AtFlags::REMOVEDIR);
        }
    }

    /// Opens the mount points by their paths: for tests and tools, which may trust the mount table.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn of_mount_table(layout: &CgroupLayout) -> rustix::io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |path: &String| rustix::fs::open(path, flags, Mode::empty());
        let mounts = Self::mount_points(layout).iter().map(open).collect::<Result<_, _>>()?;
        Self::new(layout, mounts).ok_or(rustix::io::Errno::INVAL)
    }
}

/// Opens a file or directory below a directory of a hierarchy. Never blocks, whatever it turns out to be.
///
/// # Errors
/// The kernel's error: `XDEV` for a path with another mount on it, `LOOP` for a link.
pub fn open(dir: impl AsFd, path: impl AsRef<Path>, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    // Opening an O_PATH handle never blocks, and the kernel refuses the flag for it.
    let nonblock = if flags.contains(OFlags::PATH) { OFlags::empty() } else { OFlags::NONBLOCK };
    rustix::fs::openat2(dir, path.as_ref(), flags | nonblock | OFlags::CLOEXEC, Mode::empty(), resolve)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_proto::shim::V1Hierarchy;

    #[test]
    fn mounts_are_taken_in_the_order_in_which_they_were_asked_for() {
        let root = tempfile::tempdir().expect("a directory");
        let at = |name: &str| root.path().join(name).display().to_string();
        for name in ["unified/u", "cpu/c", "systemd/s"] {
            std::fs::create_dir_all(at(name)).expect("made");
        }
        let v1 = [("cpu", "cpu"), ("systemd", "name=systemd")];
        let v1 = v1.map(|(dir, name)| V1Hierarchy { mount_point: at(dir), controllers: vec![name.into()] });
        let layout = CgroupLayout { unified: at("unified"), unified_has_controllers: false, v1: v1.into() };
        let all = Hierarchies::of_mount_table(&layout).expect("the hierarchies exist");
        assert!(open(all.unified().expect("it exists"), "u", OFlags::PATH).is_ok());
        let cpu = all.v1().nth(all.position("cpu").expect("it exists")).expect("it exists");
        assert!(open(cpu, "c", OFlags::PATH).is_ok() && all.position("memory").is_none());
        assert!(all.have("/s") && !all.have("/c/none"));
        assert!(Hierarchies::new(&layout, Vec::new()).is_none());
    }

    #[test]
    fn neither_a_link_nor_a_way_up_is_gone_and_a_fifo_does_not_hang() {
        let root = tempfile::tempdir().expect("a directory");
        let group = root.path().join("group");
        std::fs::create_dir(&group).expect("made");
        std::os::unix::fs::symlink("/etc/passwd", group.join("link")).expect("made");
        rustix::fs::mknodat(rustix::fs::CWD, group.join("fifo"), rustix::fs::FileType::Fifo, Mode::RWXU, 0)
            .expect("made");
        let dir = rustix::fs::open(&group, OFlags::PATH, Mode::empty()).expect("opens");
        assert_eq!(open(&dir, "link", OFlags::RDONLY).unwrap_err(), rustix::io::Errno::LOOP);
        assert_eq!(open(&dir, "..", OFlags::RDONLY).unwrap_err(), rustix::io::Errno::XDEV);
        assert!(open(&dir, "fifo", OFlags::RDONLY).is_ok(), "at once, with nobody at the other end");
    }
}
