// SPDX-License-Identifier: Apache-2.0
//! The CRI configurations of the pod and the container for one `run`. Pure: nothing is looked up here.

use crate::labels;
use crate::parse::name::hostname_of;
use crate::parse::network::Network;
use crate::parse::port;
use crate::parse::quantity::CPU_PERIOD_US;
use crate::parse::user::User;
use crate::run_spec::RunSpec;
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

/// The CRI configuration of the pod.
pub fn pod(spec: &RunSpec) -> cri::PodSandboxConfig {
    let context = cri::LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(spec)),
        privileged: spec.privileged,
        seccomp: Some(seccomp(spec)),
        ..Default::default()
    };
    cri::PodSandboxConfig {
        metadata: Some(cri::PodSandboxMetadata {
            name: spec.name.clone(),
            uid: spec.uid.clone(),
            namespace: labels::NAMESPACE.to_owned(),
            attempt: 0,
        }),
        hostname: hostname(spec),
        log_directory: format!("{}/{}_{}", spec.logs.trim_end_matches('/'), spec.name, spec.uid),
        dns_config: (spec.dns != cri::DnsConfig::default()).then(|| spec.dns.clone()),
        port_mappings: spec.ports.clone(),
        labels: all_labels(spec),
        linux: Some(cri::LinuxPodSandboxConfig { security_context: Some(context), ..Default::default() }),
        ..Default::default()
    }
}

/// A container in the network of the machine, or of another container, has the host name from there.
fn hostname(spec: &RunSpec) -> String {
    match spec.network {
        Network::Host | Network::Container(_) => spec.hostname.clone().unwrap_or_default(),
        Network::Own | Network::None | Network::Made(_) => {
            spec.hostname.clone().unwrap_or_else(|| hostname_of(&spec.name))
        }
    }
}

/// The CRI configuration of the container.
pub fn container(spec: &RunSpec) -> cri::ContainerConfig {
    cri::ContainerConfig {
        metadata: Some(cri::ContainerMetadata { name: spec.name.clone(), attempt: 0 }),
        image: Some(cri::ImageSpec {
            image: spec.image_id.clone(),
            user_specified_image: spec.image.clone(),
            ..Default::default()
        }),
        command: spec.entrypoint.clone().filter(|e| !e.is_empty()).into_iter().collect(),
        args: spec.args.clone(),
        working_dir: spec.directory.clone(),
        envs: last_of_each(&spec.variables),
        mounts: spec.mounts.clone(),
        labels: all_labels(spec),
        annotations: annotations(spec),
        log_path: LOG_FILE.to_owned(),
        stdin: spec.stdin,
        stdin_once: spec.stdin_once,
        tty: spec.tty,
        linux: Some(cri::LinuxContainerConfig {
            resources: Some(resources(spec)),
            security_context: Some(security(spec)),
        }),
        ..Default::default()
    }
}

fn all_labels(spec: &RunSpec) -> HashMap<String, String> {
    let mut labels = spec.labels.clone();
    labels.extend(labels::for_container(&spec.name));
    labels
}

fn annotations(spec: &RunSpec) -> HashMap<String, String> {
    let joined = spec.joined.as_ref().map(|joined| joined.container.clone()).unwrap_or_default();
    let pairs = [
        (labels::COMMAND, spec.shown_command.clone()),
        (labels::PORTS, port::show(&spec.ports)),
        (labels::NETWORK_OF, joined),
    ];
    pairs.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key.to_owned(), value)).collect()
}

fn namespaces(spec: &RunSpec) -> cri::NamespaceOption {
    let network = match spec.network {
        Network::Host => cri::NamespaceMode::Node,
        // What else it is, the CRI cannot say: see [`crate::pod_network`].
        Network::Own | Network::None | Network::Container(_) | Network::Made(_) => cri::NamespaceMode::Pod,
    };
    cri::NamespaceOption { network: network.into(), pid: cri::NamespaceMode::Container.into(), ..Default::default() }
}

fn seccomp(spec: &RunSpec) -> cri::SecurityProfile {
    use cri::security_profile::ProfileType::{RuntimeDefault, Unconfined};
    let profile = if spec.privileged { Unconfined } else { RuntimeDefault };
    cri::SecurityProfile { profile_type: profile.into(), ..Default::default() }
}

fn resources(spec: &RunSpec) -> cri::LinuxContainerResources {
    cri::LinuxContainerResources {
        cpu_period: if spec.cpu_quota.is_some() { CPU_PERIOD_US } else { 0 },
        cpu_quota: spec.cpu_quota.unwrap_or(0),
        memory_limit_in_bytes: spec.memory.unwrap_or(0),
        ..Default::default()
    }
}

fn security(spec: &RunSpec) -> cri::LinuxContainerSecurityContext {
    let paths = |paths: &[&str]| match spec.privileged {
        true => Vec::new(),
        false => paths.iter().map(|&path| path.to_owned()).collect(),
    };
    let (uid, name, gid) = match spec.user.clone() {
        None => (None, String::new(), None),
        Some(User::Id { uid, gid }) => (Some(uid), String::new(), gid),
        Some(User::Name { name, gid }) => (None, name, gid),
    };
    let id = |value: Option<i64>| value.map(|value| cri::Int64Value { value });
    cri::LinuxContainerSecurityContext {
        capabilities: Some(cri::Capability {
            add_capabilities: spec.added.clone(),
            drop_capabilities: spec.dropped.clone(),
            ..Default::default()
        }),
        privileged: spec.privileged,
        namespace_options: Some(namespaces(spec)),
        run_as_user: id(uid),
        run_as_group: id(gid),
        run_as_username: name,
        readonly_rootfs: spec.read_only,
        masked_paths: paths(MASKED),
        readonly_paths: paths(READ_ONLY),
        seccomp: Some(seccomp(spec)),
        ..Default::default()
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
        let (pod, container) = (pod(&spec()), container(&spec()));
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
        let pod = super::pod(&spec);
        let of_pod = pod.linux.expect("linux").security_context.expect("context");
        let of_container = container(&spec).linux.expect("linux").security_context.expect("context");
        assert!(pod.hostname.is_empty() && of_pod.privileged && of_container.privileged);
        assert_eq!(of_pod.namespace_options, of_container.namespace_options);
        assert_eq!(of_pod.namespace_options.expect("modes").network, cri::NamespaceMode::Node as i32);
        assert!(of_container.masked_paths.is_empty());
        assert_eq!(of_container.seccomp.expect("profile").profile_type, 1);
    }

    #[test]
    fn only_the_host_name_shows_whose_network_it_is() {
        let joined = Some(crate::run_spec::Joined { pod: "12ab".into(), container: "db".into() });
        let shared = RunSpec { network: Network::Container("d".into()), joined, ..spec() };
        assert_eq!(super::pod(&shared).hostname, "");
        assert_eq!(container(&shared).annotations, [(labels::NETWORK_OF.to_owned(), "db".to_owned())].into());
        for network in [Network::None, Network::Made(Vec::new())] {
            assert_eq!(super::pod(&RunSpec { network, ..spec() }), pod(&spec()));
        }
    }

    #[test]
    fn dns_settings_have_only_the_lists_that_were_asked_for() {
        let dns = cri::DnsConfig { servers: vec!["9.9.9.9".into()], ..Default::default() };
        assert_eq!(pod(&RunSpec { dns: dns.clone(), ..spec() }).dns_config, Some(dns));
    }

    #[test]
    fn limits_and_users_are_set_only_when_asked_for() {
        let plain = container(&spec()).linux.expect("linux");
        assert_eq!(plain.resources.expect("resources"), cri::LinuxContainerResources::default());
        assert_eq!(plain.security_context.expect("context").run_as_user, None);
        let user = Some(User::Name { name: "www".into(), gid: Some(5) });
        let asked = RunSpec { memory: Some(1 << 30), cpu_quota: Some(150_000), user, ..spec() };
        let linux = container(&asked).linux.expect("linux");
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
        let kept = super::container(&RunSpec { variables, ..spec() }).envs;
        assert_eq!(kept, [variable("A", "3"), variable("B", "2")]);
    }

    #[test]
    fn an_empty_entrypoint_is_ignored() {
        let container = super::container(&RunSpec { entrypoint: Some("".into()), args: vec!["ls".into()], ..spec() });
        assert!(container.command.is_empty());
        let container = super::container(&RunSpec { entrypoint: Some("/bin/sh".into()), ..spec() });
        assert_eq!(container.command, ["/bin/sh"]);
    }
}
