// SPDX-License-Identifier: Apache-2.0
//! What `run` was asked for, and the CRI configurations for its pod and container. Pure: nothing is looked up here.

use crate::labels;
use crate::parse::name::hostname_of;
use crate::parse::network::Network;
use crate::parse::port;
use crate::parse::quantity::CPU_PERIOD_US;
use crate::parse::user::User;
use gorae_proto::cri;
use std::collections::HashMap;

/// File name of a container's log in the pod's log directory: one file for all starts, as with Docker.
const LOG_FILE: &str = "container.log";

/// Parts of /proc and /sys that no container needs, and that reveal or change something of the machine.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
/// Parts of /proc that a container may only read.
const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// One container with its pod, as it was asked for. `run` fills it in two steps: from the command line, then with what
/// only the daemon knows ([`crate::resolving`]).
#[derive(Debug, Clone, Default)]
pub struct RunSpec {
    /// The container's name, and the pod's.
    pub name: String,
    /// The pod's uid, new for each `run`.
    pub uid: String,
    /// The image as it was typed.
    pub image: String,
    /// The id of that image.
    pub image_id: String,
    /// `--entrypoint`: replaces that of the image; an empty one is ignored.
    pub entrypoint: Option<String>,
    /// The words after the image: they replace the image's command.
    pub args: Vec<String>,
    /// The command as `ps` will show it.
    pub shown_command: String,
    /// `-p`: published ports.
    pub ports: Vec<cri::PortMapping>,
    /// `-v`: host paths shown in the container.
    pub mounts: Vec<cri::Mount>,
    /// `--env-file`, then `-e`; the last value of a variable wins.
    pub variables: Vec<cri::KeyValue>,
    /// `--label`, without Gorae's own labels.
    pub labels: HashMap<String, String>,
    /// `-w`: working directory; empty for the image's.
    pub directory: String,
    /// `-u`: user and group; `None` for the image's.
    pub user: Option<User>,
    /// `--hostname`; `None` to derive it from the name.
    pub hostname: Option<String>,
    /// `--network`: the container's own network or the machine's.
    pub network: Network,
    /// `--memory` in bytes; `None` for no limit.
    pub memory: Option<i64>,
    /// `--cpus` as microseconds per [`CPU_PERIOD_US`]; `None` for no limit.
    pub cpu_quota: Option<i64>,
    /// `--read-only`: the root file system cannot be written.
    pub read_only: bool,
    /// `--cap-add`: names in the CRI's form.
    pub added: Vec<String>,
    /// `--cap-drop`: names in the CRI's form.
    pub dropped: Vec<String>,
    /// `--privileged`: no confinement.
    pub privileged: bool,
    /// `-i`: standard input stays open.
    pub stdin: bool,
    /// Whether standard input ends for good when this program closes it.
    pub stdin_once: bool,
    /// `-t`: a terminal instead of separate streams.
    pub tty: bool,
    /// The directory in which the pod gets its log directory.
    pub logs: String,
}

impl RunSpec {
    /// The CRI configuration of the pod.
    pub fn pod(&self) -> cri::PodSandboxConfig {
        let host = self.network == Network::Host;
        let own_name = || self.hostname.clone().unwrap_or_else(|| hostname_of(&self.name));
        let context = cri::LinuxSandboxSecurityContext {
            namespace_options: Some(self.namespaces()),
            privileged: self.privileged,
            seccomp: Some(self.seccomp()),
            ..Default::default()
        };
        cri::PodSandboxConfig {
            metadata: Some(cri::PodSandboxMetadata {
                name: self.name.clone(),
                uid: self.uid.clone(),
                namespace: labels::NAMESPACE.to_owned(),
                attempt: 0,
            }),
            hostname: if host { self.hostname.clone().unwrap_or_default() } else { own_name() },
            log_directory: format!("{}/{}_{}", self.logs.trim_end_matches('/'), self.name, self.uid),
            port_mappings: self.ports.clone(),
            labels: self.all_labels(),
            linux: Some(cri::LinuxPodSandboxConfig { security_context: Some(context), ..Default::default() }),
            ..Default::default()
        }
    }

    /// The CRI configuration of the container.
    pub fn container(&self) -> cri::ContainerConfig {
        cri::ContainerConfig {
            metadata: Some(cri::ContainerMetadata { name: self.name.clone(), attempt: 0 }),
            image: Some(cri::ImageSpec {
                image: self.image_id.clone(),
                user_specified_image: self.image.clone(),
                ..Default::default()
            }),
            command: self.entrypoint.clone().filter(|e| !e.is_empty()).into_iter().collect(),
            args: self.args.clone(),
            working_dir: self.directory.clone(),
            envs: last_of_each(&self.variables),
            mounts: self.mounts.clone(),
            labels: self.all_labels(),
            annotations: self.annotations(),
            log_path: LOG_FILE.to_owned(),
            stdin: self.stdin,
            stdin_once: self.stdin_once,
            tty: self.tty,
            linux: Some(cri::LinuxContainerConfig {
                resources: Some(self.resources()),
                security_context: Some(self.security()),
            }),
            ..Default::default()
        }
    }

    fn all_labels(&self) -> HashMap<String, String> {
        let mut labels = self.labels.clone();
        labels.extend(labels::for_container(&self.name));
        labels
    }

    fn annotations(&self) -> HashMap<String, String> {
        let pairs = [(labels::COMMAND, self.shown_command.clone()), (labels::PORTS, port::show(&self.ports))];
        pairs.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key.to_owned(), value)).collect()
    }

    fn namespaces(&self) -> cri::NamespaceOption {
        let network = match self.network {
            Network::Own => cri::NamespaceMode::Pod,
            Network::Host => cri::NamespaceMode::Node,
        };
        cri::NamespaceOption {
            network: network.into(),
            pid: cri::NamespaceMode::Container.into(),
            ..Default::default()
        }
    }

    fn seccomp(&self) -> cri::SecurityProfile {
        use cri::security_profile::ProfileType::{RuntimeDefault, Unconfined};
        let profile = if self.privileged { Unconfined } else { RuntimeDefault };
        cri::SecurityProfile { profile_type: profile.into(), ..Default::default() }
    }

    fn resources(&self) -> cri::LinuxContainerResources {
        cri::LinuxContainerResources {
            cpu_period: if self.cpu_quota.is_some() { CPU_PERIOD_US } else { 0 },
            cpu_quota: self.cpu_quota.unwrap_or(0),
            memory_limit_in_bytes: self.memory.unwrap_or(0),
            ..Default::default()
        }
    }

    fn security(&self) -> cri::LinuxContainerSecurityContext {
        let paths = |paths: &[&str]| match self.privileged {
            true => Vec::new(),
            false => paths.iter().map(|&path| path.to_owned()).collect(),
        };
        let (uid, name, gid) = match self.user.clone() {
            None => (None, String::new(), None),
            Some(User::Id { uid, gid }) => (Some(uid), String::new(), gid),
            Some(User::Name { name, gid }) => (None, name, gid),
        };
        let id = |value: Option<i64>| value.map(|value| cri::Int64Value { value });
        cri::LinuxContainerSecurityContext {
            capabilities: Some(cri::Capability {
                add_capabilities: self.added.clone(),
                drop_capabilities: self.dropped.clone(),
                ..Default::default()
            }),
            privileged: self.privileged,
            namespace_options: Some(self.namespaces()),
            run_as_user: id(uid),
            run_as_group: id(gid),
            run_as_username: name,
            readonly_rootfs: self.read_only,
            masked_paths: paths(MASKED),
            readonly_paths: paths(READ_ONLY),
            seccomp: Some(self.seccomp()),
            ..Default::default()
        }
    }
}

/// Keeps the last value of each variable, in the order in which the names first appeared.
fn last_of_each(variables: &[cri::KeyValue]) -> Vec<cri::KeyValue> {
    let mut kept: Vec<cri::KeyValue> = Vec::new();
    for variable in variables {
        match kept.iter_mut().find(|kept| kept.key == variable.key) {
            Some(earlier) => earlier.value = variable.value.clone(),
            None => kept.push(variable.clone()),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> RunSpec {
        RunSpec { name: "web_1".into(), uid: "u".into(), logs: "/var/log/gorae/pods/".into(), ..Default::default() }
    }

    #[test]
    fn a_plain_run_is_confined_and_labelled_as_ours() {
        let (pod, container) = (spec().pod(), spec().container());
        assert_eq!(pod.metadata.as_ref().expect("metadata").namespace, "gorae");
        assert_eq!((pod.hostname.as_str(), pod.log_directory.as_str()), ("web-1", "/var/log/gorae/pods/web_1_u"));
        assert_eq!(labels::name(&pod.labels), Some("web_1"));
        assert_eq!(labels::name(&container.labels), Some("web_1"));
        assert!(pod.dns_config.is_none());
        let security = container.linux.expect("linux").security_context.expect("context");
        assert_eq!(security.seccomp.expect("profile").profile_type, 0);
        assert!(security.masked_paths.contains(&"/proc/kcore".to_owned()));
        assert_eq!(security.namespace_options.expect("modes").pid, cri::NamespaceMode::Container as i32);
        assert!(container.command.is_empty() && container.args.is_empty());
    }

    #[test]
    fn host_network_and_privilege_reach_both_pod_and_container() {
        let spec = RunSpec { network: Network::Host, privileged: true, ..spec() };
        let pod = spec.pod();
        let of_pod = pod.linux.expect("linux").security_context.expect("context");
        let of_container = spec.container().linux.expect("linux").security_context.expect("context");
        assert!(pod.hostname.is_empty() && of_pod.privileged && of_container.privileged);
        assert_eq!(of_pod.namespace_options, of_container.namespace_options);
        assert_eq!(of_pod.namespace_options.expect("modes").network, cri::NamespaceMode::Node as i32);
        assert!(of_container.masked_paths.is_empty());
        assert_eq!(of_container.seccomp.expect("profile").profile_type, 1);
    }

    #[test]
    fn limits_and_users_are_set_only_when_asked_for() {
        let plain = spec().container().linux.expect("linux");
        assert_eq!(plain.resources.expect("resources"), cri::LinuxContainerResources::default());
        assert_eq!(plain.security_context.expect("context").run_as_user, None);
        let user = Some(User::Name { name: "www".into(), gid: Some(5) });
        let asked = RunSpec { memory: Some(1 << 30), cpu_quota: Some(150_000), user, ..spec() };
        let linux = asked.container().linux.expect("linux");
        let resources = linux.resources.expect("resources");
        assert_eq!(
            (resources.memory_limit_in_bytes, resources.cpu_quota, resources.cpu_period),
            (1 << 30, 150_000, 100_000)
        );
        let security = linux.security_context.expect("context");
        assert_eq!((security.run_as_username.as_str(), security.run_as_group.map(|g| g.value)), ("www", Some(5)));
    }

    #[test]
    fn the_last_of_a_variable_wins() {
        let variable = |key: &str, value: &str| cri::KeyValue { key: key.into(), value: value.into() };
        let variables = vec![variable("A", "1"), variable("B", "2"), variable("A", "3")];
        let kept = RunSpec { variables, ..spec() }.container().envs;
        assert_eq!(kept, [variable("A", "3"), variable("B", "2")]);
    }

    #[test]
    fn an_empty_entrypoint_is_ignored() {
        let container = RunSpec { entrypoint: Some("".into()), args: vec!["ls".into()], ..spec() }.container();
        assert!(container.command.is_empty());
        let container = RunSpec { entrypoint: Some("/bin/sh".into()), ..spec() }.container();
        assert_eq!(container.command, ["/bin/sh"]);
    }
}
