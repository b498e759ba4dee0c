// SPDX-License-Identifier: Apache-2.0
//! Where cgroups stand: the machine's layout, read once at start, and the paths of pods and containers.
//!
//! Owns the answer to "which hierarchy is mounted where", the open hierarchies ([`Hierarchies`]) and the check of a
//! client's `cgroup_parent`. It never makes, enters or removes a cgroup: the shim does that, told by [`CgroupLayout`] and
//! a path.
//!
//! ```text
//! no parent asked:    /gorae/pod-POD/gorae-CONTAINER      the pod's cgroup is ours
//! PARENT asked:       PARENT/gorae-CONTAINER              the pod's cgroup is the kubelet's
//!                     PARENT/gorae-init-POD               ours in it, when containers share a PID namespace
//! ```
//!
//! Invariant: a path from here is absolute, normal (no empty, `.` or `..` component) and never `/`: whoever kills
//! or removes "the pod's cgroup" cannot reach the machine's root by it.

mod hierarchies;

pub use hierarchies::{Hierarchies, open};

use gorae_kernel::mountinfo;
use gorae_proto::shim::{CgroupLayout, V1Hierarchy};
use rustix::fs::OFlags;
use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Parent of the pods for which no parent was asked. Shared by all daemons of a machine, never removed.
pub const DEFAULT_PARENT: &str = "/gorae";

/// Longest `cgroup_parent`, in bytes: leaves room for a mount point, our own component and a file name in PATH_MAX.
const LONGEST_PARENT: usize = 3500;
/// Longest component, in bytes (NAME_MAX).
const LONGEST_COMPONENT: usize = 255;
/// Levels of cgroups that are searched; kubelet's containers stand on the fourth.
const DEEPEST: usize = 12;
/// Controllers whose absence from v1 makes the unified hierarchy the one that limits containers.
const LIMITING: [&str; 3] = ["cpu", "memory", "pids"];
/// What the option with the name of a hierarchy begins with.
const NAME: &str = "name=";

/// Why the layout is unknown or a parent was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of /proc could not be read.
    #[error("read {path}: {source}")]
    Read {
        /// The file.
        path: &'static str,
        /// What the kernel answered.
        source: std::io::Error,
    },
    /// No writable cgroup file system is mounted.
    #[error("no writable cgroup hierarchy is mounted: neither cgroup2 nor a cgroup v1 controller")]
    NoCgroups,
    /// The parent has a component that could leave it, is empty or is no file name.
    #[error("cgroup parent {parent:?} is not a plain path: {why}")]
    BadParent {
        /// As it was asked, cut to a printable length.
        parent: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The parent is of the systemd driver's form.
    #[error(
        "cgroup parent {parent:?} is a systemd slice, but the cgroup driver of this runtime is cgroupfs: \
         let the kubelet ask the runtime for the driver, or set its cgroupDriver to cgroupfs"
    )]
    SystemdParent {
        /// As it was asked, cut to a printable length.
        parent: String,
    },
}

/// Reads the machine's cgroup layout from /proc/self/mountinfo and /proc/cgroups.
///
/// Called once at start; the answer goes into every message to a shim.
///
/// # Errors
/// `Read` when /proc is unusable, `NoCgroups` when nothing writable is mounted.
pub fn probe() -> Result<CgroupLayout, Error> {
    let read = |path| std::fs::read_to_string(path).map_err(|source| Error::Read { path, source });
    layout(&read("/proc/self/mountinfo")?, &read("/proc/cgroups").unwrap_or_default())
}

/// Makes the layout of the texts of /proc/self/mountinfo and /proc/cgroups.
///
/// - Shapes: one entry per writable v1 hierarchy, in mount order; one that holds no controller (systemd's) goes by its
///   name. Of a hierarchy mounted twice, the mount of its root wins, then the first.
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

/// Whether a hierarchy holds a name and no controller.
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
    /// Whether the hierarchy's root (of this cgroup namespace) is what is mounted.
    is_root: bool,
    super_options: String,
}

impl CgroupMount {
    /// Source: proc_pid_mountinfo(5). Lines of other file systems and read-only mounts give nothing.
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

    /// The controllers among the superblock options, which also hold the likes of `rw` and `xattr`; without any, the
    /// name.
    fn controllers(&self, known: &[&str]) -> Vec<String> {
        let options = || self.super_options.split(',');
        let held: Vec<String> = options().filter(|option| known.contains(option)).map(str::to_owned).collect();
        if held.is_empty() { options().filter(|o| o.starts_with(NAME)).map(str::to_owned).collect() } else { held }
    }
}

/// The cgroup that holds all containers of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodCgroup {
    /// Below each mount point, "/gorae/pod-…" or the client's parent.
    pub path: String,
    /// True: made, killed and removed by us. False: the client's (the kubelet made it, limits it and removes it).
    pub own: bool,
}

impl PodCgroup {
    /// The components of the path that no hierarchy has now, deepest first: what setting the pod up will make.
    ///
    /// Recorded before the set-up as a debt and given to `CleanPod.remove_empty_cgroups`, so that a parent which
    /// nobody else made does not outlive the pod. [`DEFAULT_PARENT`] is never among them: pods come and go in it.
    pub fn missing(&self, hierarchies: &Hierarchies) -> Vec<String> {
        let absent = |path: &&str| !hierarchies.have(path);
        ancestors(&self.path).filter(|path| *path != DEFAULT_PARENT).take_while(absent).map(str::to_owned).collect()
    }
}

/// "/a/b/c", "/a/b", "/a".
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.rsplit_once('/').map(|(parent, _)| parent))
        .take_while(|path| !path.is_empty())
}

/// Decides where a pod's cgroup is.
///
/// - Shapes: `parent` is `PodSandboxConfig.linux.cgroup_parent`; empty and "/" both mean "none asked", since a pod
///   in the machine's root could not be killed as a whole. A parent without a leading slash counts from the root.
/// - Source: CRI `LinuxPodSandboxConfig.cgroup_parent`: cgroupfs syntax, whatever the driver.
///
/// # Errors
/// `SystemdParent` for slices (also `slice:prefix:name`), `BadParent` for what is no plain path.
pub fn pod_path(parent: &str, pod_id: &str) -> Result<PodCgroup, Error> {
    let components: Vec<&str> = parent.split('/').filter(|component| !component.is_empty()).collect();
    if parent.len() > LONGEST_PARENT {
        return Err(bad(parent, "it is longer than 3500 bytes"));
    }
    for component in &components {
        check_component(component).map_err(|why| bad(parent, why))?;
    }
    match components.last() {
        None => Ok(PodCgroup { path: format!("{DEFAULT_PARENT}/pod-{pod_id}"), own: true }),
        Some(last) if last.ends_with(".slice") || last.split(':').count() == 3 => {
            Err(Error::SystemdParent { parent: shown(parent) })
        }
        Some(_) => Ok(PodCgroup { path: format!("/{}", components.join("/")), own: false }),
    }
}

/// The cgroup of a container: one component below the pod's, named so that agents can tell whose it is.
pub fn container_path(pod: &PodCgroup, container_id: &str) -> String {
    format!("{}/{}", pod.path, container_name(container_id))
}

fn container_name(container_id: &str) -> String {
    format!("gorae-{container_id}")
}

/// Where containers stand whose records are lost: the paths of all cgroups that are named after one of them.
///
/// A walk over the whole tree of each hierarchy, for the rare case that nothing else tells; a name is 64 random digits, so
/// none is found by mistake.
pub fn find_containers(hierarchies: &Hierarchies, ids: &[String]) -> Vec<(String, String)> {
    let names: HashMap<String, &String> = ids.iter().map(|id| (container_name(id), id)).collect();
    let mut found = HashSet::new();
    for root in hierarchies.all() {
        let mut waiting = vec![(PathBuf::new(), 0)];
        while let Some((dir, depth)) = waiting.pop() {
            let here = if depth == 0 { PathBuf::from(".") } else { dir.clone() };
            let Ok(here) = open(root, here, OFlags::RDONLY | OFlags::DIRECTORY) else { continue };
            let Ok(entries) = rustix::fs::Dir::new(here) else { continue };
            for entry in entries.flatten().filter(|e| e.file_type() == rustix::fs::FileType::Directory) {
                let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes());
                match name.to_str().and_then(|name| names.get(name)) {
                    Some(id) => drop(found.insert(((*id).clone(), format!("/{}", dir.join(name).display())))),
                    None if name == "." || name == ".." => {}
                    None if depth < DEEPEST => waiting.push((dir.join(name), depth + 1)),
                    None => {}
                }
            }
        }
    }
    found.into_iter().collect()
}

/// The cgroup that is a pod's own, to be killed and removed with it: the pod's, or one for its init below a client's.
pub fn own_path(pod: &PodCgroup, pod_id: &str) -> String {
    if pod.own { pod.path.clone() } else { format!("{}/gorae-init-{pod_id}", pod.path) }
}

/// Removes [`DEFAULT_PARENT`] from every hierarchy where it is empty, at a clean end with no pods left.
pub fn remove_default_parent(hierarchies: &Hierarchies) {
    hierarchies.remove_where_empty(DEFAULT_PARENT);
}

fn check_component(component: &str) -> Result<(), &'static str> {
    match component {
        "." | ".." => Err("it has a . or .. component"),
        _ if component.len() > LONGEST_COMPONENT => Err("it has a component of more than 255 bytes"),
        _ if component.chars().any(char::is_control) => Err("it has a control character"),
        _ => Ok(()),
    }
}

fn bad(parent: &str, why: &'static str) -> Error {
    Error::BadParent { parent: shown(parent), why }
}

/// At most 256 characters of what a client sent, for an error text.
fn shown(parent: &str) -> String {
    parent.chars().take(256).collect()
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

    #[test]
    fn a_pod_without_a_parent_gets_a_cgroup_of_ours() {
        for parent in ["", "/", "//"] {
            let pod = pod_path(parent, "abc").unwrap();
            assert_eq!(pod, PodCgroup { path: "/gorae/pod-abc".into(), own: true });
            assert_eq!(container_path(&pod, "def"), "/gorae/pod-abc/gorae-def");
        }
    }

    #[test]
    fn a_pod_with_a_parent_lives_in_it() {
        for parent in ["/kubepods/burstable/pod1", "kubepods/burstable/pod1/", "//kubepods//burstable/pod1"] {
            let pod = pod_path(parent, "abc").unwrap();
            assert_eq!(pod, PodCgroup { path: "/kubepods/burstable/pod1".into(), own: false });
            assert_eq!(container_path(&pod, "def"), "/kubepods/burstable/pod1/gorae-def");
        }
    }

    #[test]
    fn slices_of_systemd_are_refused_with_the_driver_named() {
        for parent in ["/test.slice", "kubepods.slice", "/kubepods.slice/kubepods-pod1.slice", "system.slice:cri:abc"] {
            let error = pod_path(parent, "abc").unwrap_err();
            assert!(matches!(error, Error::SystemdParent { .. }), "{parent}");
            assert!(error.to_string().contains("cgroupfs"));
        }
        assert!(pod_path("/kubelet.slice/kubepods/pod1", "abc").is_ok(), "only the last component decides");
    }

    #[test]
    fn parents_that_are_no_plain_path_are_refused() {
        let long = format!("/{}", "a".repeat(256));
        let longer = "/a".repeat(1800);
        for parent in ["..", "/a/../b", "/a/./b", "/a\nb", "/a\0b", &long, &longer] {
            assert!(matches!(pod_path(parent, "abc"), Err(Error::BadParent { .. })), "{parent}");
        }
    }

    #[test]
    fn what_is_missing_is_listed_deepest_first_and_ends_at_what_exists() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("kubepods")).unwrap();
        let layout = CgroupLayout { unified: root.path().display().to_string(), ..Default::default() };
        let all = Hierarchies::of_mount_table(&layout).expect("they are there");
        let pod = pod_path("/kubepods/burstable/pod1", "abc").unwrap();
        assert_eq!(pod.missing(&all), ["/kubepods/burstable/pod1", "/kubepods/burstable"]);
        assert_eq!(pod_path("", "abc").unwrap().missing(&all), ["/gorae/pod-abc"]);
    }
}
