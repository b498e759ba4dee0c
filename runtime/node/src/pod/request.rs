// SPDX-License-Identifier: Apache-2.0
//! Checks of a RunPodSandbox request, before anything is made.

use crate::error::{Error, Result};
use gorae_proto::cri::{self, NamespaceMode};
use gorae_proto::shim;

/// Most sysctls in one pod; a real one has a handful.
const MAX_SYSCTLS: usize = 256;
/// The kernel's limit of a host name.
const MAX_HOSTNAME: usize = 64;

/// The request's namespace options; unset means the message's zero values.
pub fn namespaces(config: &cri::PodSandboxConfig) -> cri::NamespaceOption {
    config
        .linux
        .as_ref()
        .and_then(|l| l.security_context.as_ref())
        .and_then(|s| s.namespace_options.clone())
        .unwrap_or_default()
}

/// True when the pod has a host name of its own: with its own network, and where the node's network comes with a name.
pub fn own_uts(config: &cri::PodSandboxConfig) -> bool {
    namespaces(config).network() != NamespaceMode::Node || !config.hostname.is_empty()
}

/// True when some security context of the pod says privileged.
pub fn privileged(config: &cri::PodSandboxConfig) -> bool {
    config.linux.as_ref().and_then(|l| l.security_context.as_ref()).is_some_and(|s| s.privileged)
}

/// Checks everything about the request that can be said without touching the machine.
///
/// # Errors
/// `InvalidArgument` with the field.
pub fn check(config: &cri::PodSandboxConfig) -> Result<()> {
    let Some(metadata) = &config.metadata else { return Err(Error::invalid("pod config has no metadata")) };
    for (field, value) in [("name", &metadata.name), ("namespace", &metadata.namespace), ("uid", &metadata.uid)] {
        if value.is_empty() {
            return Err(Error::invalid(format!("pod metadata.{field} is empty")));
        }
        if value.contains(['\0', '\n']) || value.len() > 4096 {
            return Err(Error::invalid(format!("pod metadata.{field} has a newline, a NUL or over 4096 bytes")));
        }
    }
    if !config.log_directory.is_empty() && !config.log_directory.starts_with('/') {
        return Err(Error::invalid(format!("pod log_directory {:?} is not absolute", config.log_directory)));
    }
    check_hostname(config)?;
    check_modes(config)?;
    user_mapping(config)?;
    check_security(config)?;
    sysctls(config).map(|_| ())
}

fn check_hostname(config: &cri::PodSandboxConfig) -> Result<()> {
    let name = &config.hostname;
    if name.len() > MAX_HOSTNAME || name.contains(['\0', '\n', '/']) {
        return Err(Error::invalid(format!("pod hostname {name:?} is over {MAX_HOSTNAME} bytes or not a name")));
    }
    Ok(())
}

fn check_modes(config: &cri::PodSandboxConfig) -> Result<()> {
    let options = namespaces(config);
    let raw = [("network", options.network), ("ipc", options.ipc), ("pid", options.pid)];
    for (field, number) in raw {
        let mode = NamespaceMode::try_from(number)
            .map_err(|_| Error::invalid(format!("namespace_options.{field}: {number} is no namespace mode")))?;
        let allowed = match field {
            "pid" => mode != NamespaceMode::Target,
            _ => matches!(mode, NamespaceMode::Pod | NamespaceMode::Node),
        };
        if !allowed {
            return Err(Error::invalid(format!("namespace_options.{field}: {} cannot be a pod's", mode.as_str_name())));
        }
    }
    Ok(())
}

/// A pod has no process of its own, so most of its context has nothing to work on: containers carry their own. It is
/// checked all the same, for what is wrong in it is a mistake of the client.
fn check_security(config: &cri::PodSandboxConfig) -> Result<()> {
    let Some(context) = config.linux.as_ref().and_then(|l| l.security_context.as_ref()) else { return Ok(()) };
    crate::container::order::selinux::check(context.selinux_options.as_ref())?;
    if context.run_as_group.is_some() && context.run_as_user.is_none() {
        return Err(Error::invalid("pod security context: run_as_group is set without run_as_user"));
    }
    Ok(())
}

/// The mapping of the pod's own user namespace; `None` for the host's.
///
/// # Errors
/// `InvalidArgument` for a mode other than POD and NODE, for more than one mapping, for mappings in NODE
/// mode, and when container id 0 is not mapped.
pub fn user_mapping(config: &cri::PodSandboxConfig) -> Result<Option<shim::UserMapping>> {
    let Some(user) = namespaces(config).userns_options else { return Ok(None) };
    match user.mode() {
        NamespaceMode::Node => {
            if user.uids.is_empty() && user.gids.is_empty() {
                Ok(None)
            } else {
                Err(Error::invalid("userns_options: mode NODE takes no mappings"))
            }
        }
        NamespaceMode::Pod => {
            let one = |name: &str, maps: &[cri::IdMapping]| match maps {
                [m] if m.container_id == 0 && m.length > 0 && m.host_id.checked_add(m.length).is_some() => {
                    Ok(vec![shim::IdMap { container_id: 0, host_id: m.host_id, length: m.length }])
                }
                [_] => Err(Error::invalid(format!("userns_options.{name}: the mapping must map container id 0"))),
                _ => Err(Error::invalid(format!("userns_options.{name}: exactly one mapping, got {}", maps.len()))),
            };
            let mapping = shim::UserMapping { uids: one("uids", &user.uids)?, gids: one("gids", &user.gids)? };
            if user.uids != user.gids {
                return Err(Error::invalid("userns_options: uids and gids must be mapped alike"));
            }
            Ok(Some(mapping))
        }
        mode => Err(Error::invalid(format!("userns_options: mode {} is not supported", mode.as_str_name()))),
    }
}

/// The pod's sysctls with their defaults, each checked to belong to a namespace that is the pod's own.
///
/// # Errors
/// `InvalidArgument` for a name that is not namespaced, or whose namespace is the host's.
pub fn sysctls(config: &cri::PodSandboxConfig) -> Result<Vec<shim::Sysctl>> {
    let options = namespaces(config);
    let own_net = options.network() != NamespaceMode::Node;
    let own_ipc = options.ipc() != NamespaceMode::Node;
    let asked = config.linux.as_ref().map(|l| &l.sysctls);
    if asked.is_some_and(|a| a.len() > MAX_SYSCTLS) {
        return Err(Error::invalid(format!("more than {MAX_SYSCTLS} sysctls")));
    }
    let mut all = std::collections::BTreeMap::new();
    if own_net {
        all.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
        if user_mapping(config)?.is_none() {
            all.insert("net.ipv4.ping_group_range".to_owned(), "0 2147483647".to_owned());
        }
    }
    for (name, value) in asked.into_iter().flatten() {
        let dotted = name.replace('/', ".");
        check_sysctl(&dotted, value, own_net, own_ipc)?;
        all.insert(dotted, value.clone());
    }
    Ok(all.into_iter().map(|(name, value)| shim::Sysctl { name, value }).collect())
}

fn check_sysctl(name: &str, value: &str, own_net: bool, own_ipc: bool) -> Result<()> {
    let refused = |why: &str| Err(Error::invalid(format!("sysctl {name:?}: {why}")));
    let form = name
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
    if !form || name.len() > 255 {
        return refused("not a sysctl name");
    }
    if value.len() > 4096 || value.contains(['\0', '\n']) {
        return refused("the value has a newline, a NUL or over 4096 bytes");
    }
    let ipc = name.starts_with("kernel.shm")
        || name.starts_with("kernel.msg")
        || name == "kernel.sem"
        || name.starts_with("fs.mqueue.");
    if name.starts_with("net.") {
        if own_net { Ok(()) } else { refused("needs the pod's own network namespace, and the pod uses the host's") }
    } else if ipc {
        if own_ipc { Ok(()) } else { refused("needs the pod's own ipc namespace, and the pod uses the host's") }
    } else {
        refused("not namespaced: it would change the whole node")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cri::{IdMapping, LinuxPodSandboxConfig, LinuxSandboxSecurityContext, NamespaceOption, UserNamespace};

    fn config(options: NamespaceOption, sysctls: &[(&str, &str)]) -> cri::PodSandboxConfig {
        cri::PodSandboxConfig {
            metadata: Some(cri::PodSandboxMetadata {
                name: "a".into(),
                namespace: "b".into(),
                uid: "c".into(),
                attempt: 0,
            }),
            linux: Some(LinuxPodSandboxConfig {
                security_context: Some(LinuxSandboxSecurityContext {
                    namespace_options: Some(options),
                    ..Default::default()
                }),
                sysctls: sysctls.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn userns(mode: NamespaceMode, maps: &[(u32, u32, u32)]) -> NamespaceOption {
        let maps: Vec<_> =
            maps.iter().map(|&(host_id, container_id, length)| IdMapping { host_id, container_id, length }).collect();
        let user = UserNamespace { mode: mode.into(), uids: maps.clone(), gids: maps };
        NamespaceOption { userns_options: Some(user), ..Default::default() }
    }

    #[test]
    fn only_namespaced_sysctls_of_own_namespaces_pass() {
        let own = NamespaceOption::default();
        let host = NamespaceOption {
            network: NamespaceMode::Node.into(),
            ipc: NamespaceMode::Node.into(),
            ..Default::default()
        };
        for name in ["net.core.somaxconn", "net/core/somaxconn", "kernel.shm_rmid_forced", "fs.mqueue.msg_max"] {
            assert!(check(&config(own.clone(), &[(name, "1")])).is_ok(), "{name}");
            assert!(check(&config(host.clone(), &[(name, "1")])).is_err(), "{name} on the host");
        }
        for name in ["kernel.panic", "vm.swappiness", "net..x", "net.x\n", "../x", ""] {
            assert!(check(&config(own.clone(), &[(name, "1")])).is_err(), "{name}");
        }
    }

    #[test]
    fn a_user_namespace_has_one_mapping_that_maps_root() {
        let pod = NamespaceMode::Pod;
        assert!(check(&config(userns(pod, &[(100_000, 0, 65536)]), &[])).is_ok());
        assert!(check(&config(userns(pod, &[]), &[])).is_err());
        assert!(check(&config(userns(pod, &[(100_000, 1, 65536)]), &[])).is_err());
        assert!(check(&config(userns(pod, &[(1, 0, 1), (9, 1, 1)]), &[])).is_err());
        assert!(check(&config(userns(pod, &[(u32::MAX, 0, 2)]), &[])).is_err());
        assert!(check(&config(userns(NamespaceMode::Node, &[]), &[])).is_ok());
        assert!(check(&config(userns(NamespaceMode::Node, &[(1, 0, 1)]), &[])).is_err());
        assert!(check(&config(userns(NamespaceMode::Container, &[(1, 0, 1)]), &[])).is_err());
        assert!(check(&config(userns(NamespaceMode::Target, &[(1, 0, 1)]), &[])).is_err());
    }

    #[test]
    fn unknown_and_impossible_modes_are_refused() {
        for (network, ipc, pid) in [(1, 0, 0), (3, 0, 0), (0, 1, 0), (0, 0, 3), (9, 0, 0), (0, 0, -1)] {
            let options = NamespaceOption { network, ipc, pid, ..Default::default() };
            assert!(check(&config(options, &[])).is_err(), "{network} {ipc} {pid}");
        }
    }
}
