// SPDX-License-Identifier: Apache-2.0
//! Which cgroup hierarchies a machine has, and where they are mounted: read once at start.

use crate::error::Error;
use gorae_kernel::mountinfo;
use gorae_proto::shim::{CgroupLayout, V1Hierarchy};

/// When v1 has none of these controllers, the unified hierarchy is the one that limits containers.
const LIMITING: [&str; 3] = ["cpu", "memory", "pids"];
/// Prefix of the mount option that names a hierarchy.
const NAME: &str = "name=";

/// Reads the machine's cgroup layout from /proc/self/mountinfo and /proc/cgroups.
///
/// Called once at start; the layout goes into every message to a shim.
///
/// # Errors
/// [`Error::Read`] when /proc is unusable, [`Error::NoCgroups`] when nothing writable is mounted.
pub fn probe() -> Result<CgroupLayout, Error> {
    let read = |path| std::fs::read_to_string(path).map_err(|source| Error::Read { path, source });
    layout(&read("/proc/self/mountinfo")?, &read("/proc/cgroups").unwrap_or_default())
}

/// Parses the texts of /proc/self/mountinfo and /proc/cgroups.
///
/// - Shapes: one entry for each writable v1 hierarchy, in mount order; one without a controller (systemd's) is listed
///   under its name. If a hierarchy is mounted twice, the mount of its root wins, then the first.
///   `unified_has_controllers` is true when cgroup2 is mounted and v1 holds none of cpu, memory and pids; a stray
///   net_cls hierarchy does not make a machine hybrid, and `v1` is then empty.
fn layout(mountinfo: &str, controllers: &str) -> Result<CgroupLayout, Error> {
    let known: Vec<&str> = enabled_controllers(controllers).collect();
    let mut unified: Option<CgroupMount> = None;
    let mut v1: Vec<(CgroupMount, Vec<String>)> = Vec::new();
    for mount in mountinfo.lines().filter_map(CgroupMount::parse) {
        if mount.is_v2 {
            if unified.as_ref().is_none_or(|have| mount.is_root && !have.is_root) {
                unified = Some(mount);
            }
            continue;
        }
        let held = mount.controllers(&known);
        match v1.iter_mut().find(|(_, other)| *other == held) {
            Some((have, _)) if mount.is_root && !have.is_root => *have = mount,
            Some(_) => {}
            None if held.is_empty() => {}
            None => v1.push((mount, held)),
        }
    }
    let limits_on_v1 = v1.iter().any(|(_, held)| held.iter().any(|name| LIMITING.contains(&name.as_str())));
    let unified_has_controllers = unified.is_some() && !limits_on_v1;
    if unified.is_none() && v1.iter().all(|(_, held)| is_named(held)) {
        return Err(Error::NoCgroups);
    }
    if unified_has_controllers {
        v1.clear();
    }
    Ok(CgroupLayout {
        unified: unified.map(|mount| mount.mount_point).unwrap_or_default(),
        unified_has_controllers,
        v1: v1
            .into_iter()
            .map(|(mount, controllers)| V1Hierarchy { mount_point: mount.mount_point, controllers })
            .collect(),
    })
}

/// Whether a hierarchy has a name and no controller.
fn is_named(held: &[String]) -> bool {
    held.iter().all(|name| name.starts_with(NAME))
}

/// The names in /proc/cgroups whose `enabled` column is 1.
fn enabled_controllers(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut fields = line.split_whitespace();
        let name = fields.next()?;
        (fields.nth(2)? == "1").then_some(name)
    })
}

/// One writable cgroup mount of /proc/self/mountinfo.
#[derive(Debug)]
struct CgroupMount {
    mount_point: String,
    is_v2: bool,
    /// Whether the hierarchy's root (of this cgroup namespace) is mounted.
    is_root: bool,
    super_options: String,
}

impl CgroupMount {
    /// Source: proc_pid_mountinfo(5). `None` for lines of other file systems and of read-only mounts.
    fn parse(line: &str) -> Option<Self> {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, mount_point, options) = (mount.next()?, mount.next()?, mount.next()?);
        let mut filesystem = filesystem.split(' ');
        let is_v2 = match filesystem.next()? {
            "cgroup2" => true,
            "cgroup" => false,
            _ => return None,
        };
        let writable = !options.split(',').any(|option| option == "ro");
        let mount_point = String::from_utf8(mountinfo::unescape(mount_point.as_bytes())).ok()?;
        writable.then(|| Self {
            mount_point,
            is_v2,
            is_root: root == "/",
            super_options: filesystem.nth(1).unwrap_or_default().to_owned(),
        })
    }

    /// The controllers among the superblock options, which also include `rw`, `xattr` and the like; if there are none,
    /// the name.
    fn controllers(&self, known: &[&str]) -> Vec<String> {
        let options = || self.super_options.split(',');
        let held: Vec<String> = options().filter(|option| known.contains(option)).map(str::to_owned).collect();
        if held.is_empty() { options().filter(|o| o.starts_with(NAME)).map(str::to_owned).collect() } else { held }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTROLLERS: &str = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t1\t1\ncpu\t1\t1\t1\n\
        cpuacct\t2\t1\t1\nblkio\t7\t1\t1\nmemory\t4\t14\t1\ndevices\t5\t1\t1\nfreezer\t6\t1\t1\nnet_cls\t0\t1\t1\n\
        hugetlb\t0\t1\t0\npids\t8\t1\t1\n";
    const PURE_V2: &str = "29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 \
        rw,nsdelegate,memory_recursiveprot\n";
    const HYBRID: &str = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
        31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn a_pure_v2_machine_has_one_hierarchy_with_every_controller() {
        let layout = layout(PURE_V2, CONTROLLERS).unwrap();
        assert_eq!(layout.unified, "/sys/fs/cgroup");
        assert!(layout.unified_has_controllers && layout.v1.is_empty());
    }

    #[test]
    fn a_hybrid_machine_limits_on_v1_and_keeps_the_unified_mount() {
        let layout = layout(HYBRID, CONTROLLERS).unwrap();
        assert_eq!(layout.unified, "/sys/fs/cgroup/unified");
        assert!(!layout.unified_has_controllers);
        let held: Vec<_> = layout.v1.iter().map(|h| (h.mount_point.as_str(), h.controllers.join("+"))).collect();
        assert_eq!(held[0], ("/sys/fs/cgroup/cpu,cpuacct", "cpu+cpuacct".to_owned()));
        assert_eq!(held[3], ("/sys/fs/cgroup/systemd", "name=systemd".to_owned()));
    }

    #[test]
    fn a_pure_v1_machine_has_no_unified_mount_point() {
        let text: String = HYBRID.lines().filter(|line| !line.contains("cgroup2")).map(|l| format!("{l}\n")).collect();
        let layout = layout(&text, CONTROLLERS).unwrap();
        assert_eq!((layout.unified.as_str(), layout.unified_has_controllers, layout.v1.len()), ("", false, 4));
    }

    #[test]
    fn a_stray_v1_controller_leaves_the_machine_pure_v2() {
        let text = format!("{PURE_V2}50 29 0:40 / /sys/fs/cgroup/net_cls rw - cgroup cgroup rw,net_cls\n");
        let layout = layout(&text, CONTROLLERS).unwrap();
        assert!(layout.unified_has_controllers && layout.v1.is_empty());
    }

    #[test]
    fn the_mount_of_a_hierarchys_root_wins_over_binds_of_a_part_and_read_only_mounts_do_not_count() {
        let text = "1 0 0:32 /docker/a /elsewhere rw - cgroup cgroup rw,memory\n\
            2 0 0:32 / /with\\040space rw - cgroup cgroup rw,memory\n\
            3 0 0:32 / /later rw - cgroup cgroup rw,memory\n\
            4 0 0:33 / /ro ro,nosuid - cgroup cgroup rw,pids\n";
        let layout = layout(text, CONTROLLERS).unwrap();
        assert_eq!(layout.v1.len(), 1);
        assert_eq!(layout.v1[0].mount_point, "/with space");
    }

    #[test]
    fn a_machine_without_cgroups_is_an_error() {
        assert!(matches!(layout("27 1 254:0 / / rw - ext4 /dev/vda rw\nbroken\n", ""), Err(Error::NoCgroups)));
        let only_a_name = "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n";
        assert!(matches!(layout(only_a_name, CONTROLLERS), Err(Error::NoCgroups)));
    }

    #[test]
    fn the_machine_that_runs_this_test_has_a_layout_whose_mount_points_exist() {
        let layout = probe().unwrap();
        assert_eq!(layout.unified_has_controllers, cgroups_rs::fs::hierarchies::is_cgroup2_unified_mode());
        let v1 = layout.v1.iter().map(|h| &h.mount_point);
        for mount_point in v1.chain(Some(&layout.unified).filter(|m| !m.is_empty())) {
            assert!(std::path::Path::new(mount_point).join("cgroup.procs").exists(), "{mount_point}");
        }
    }
}
