// SPDX-License-Identifier: Apache-2.0
//! The paths of pods' and containers' cgroups, and the check of a client's parent. Paths are the same in every
//! hierarchy.

use crate::error::Error;
use crate::hierarchies::Hierarchies;

/// Parent of the pods for which no parent was given. Shared by all daemons of a machine.
pub const DEFAULT_PARENT: &str = "/gorae";

/// Longest `cgroup_parent`, in bytes: leaves room in PATH_MAX for a mount point, our own component and a file name.
const LONGEST_PARENT: usize = 3500;
/// Longest component, in bytes (NAME_MAX).
const LONGEST_COMPONENT: usize = 255;

/// The cgroup that holds all containers of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodCgroup {
    /// Below each mount point, "/gorae/pod-…" or the client's parent.
    pub path: String,
    /// True: we make, kill and remove it. False: it is the client's (the kubelet makes, limits and removes it).
    pub own: bool,
}

impl PodCgroup {
    /// The components of the path that do not exist in any hierarchy, deepest first: the pod's set-up will make them.
    ///
    /// They are recorded before the set-up and given to `CleanPod.remove_empty_cgroups`, so that a parent that nobody
    /// else made does not outlive the pod. [`DEFAULT_PARENT`] is never among them, because all pods share it.
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
/// - Shapes: `parent` is `PodSandboxConfig.linux.cgroup_parent`. Empty and "/" both mean "none given", since a pod in
///   the machine's root could not be killed as a whole. A parent without a leading slash is relative to the root.
/// - Source: CRI `LinuxPodSandboxConfig.cgroup_parent`: cgroupfs syntax, whatever the driver.
///
/// # Errors
/// [`Error::SystemdParent`] for slices (also `slice:prefix:name`), [`Error::BadParent`] for anything but a plain path.
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

/// The cgroup of a container: one component below the pod's, named so that monitoring agents recognise it.
pub fn container_path(pod: &PodCgroup, container_id: &str) -> String {
    format!("{}/{}", pod.path, container_name(container_id))
}

pub(crate) fn container_name(container_id: &str) -> String {
    format!("gorae-{container_id}")
}

/// The cgroup that is killed and removed with the pod: the pod's own, or that of its init below a client's parent.
pub fn own_path(pod: &PodCgroup, pod_id: &str) -> String {
    if pod.own { pod.path.clone() } else { format!("{}/gorae-init-{pod_id}", pod.path) }
}

/// Removes [`DEFAULT_PARENT`] from every hierarchy where it is empty: called at a clean exit with no pods left.
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

/// The first 256 characters of a client's text, for an error message.
fn shown(parent: &str) -> String {
    parent.chars().take(256).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_proto::shim::CgroupLayout;

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
    fn parents_that_are_not_plain_paths_are_refused() {
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
        let all = Hierarchies::of_mount_table(&layout).expect("the hierarchies exist");
        let pod = pod_path("/kubepods/burstable/pod1", "abc").unwrap();
        assert_eq!(pod.missing(&all), ["/kubepods/burstable/pod1", "/kubepods/burstable"]);
        assert_eq!(pod_path("", "abc").unwrap().missing(&all), ["/gorae/pod-abc"]);
    }
}
