// SPDX-License-Identifier: Apache-2.0
//! Checks a RunPodSandbox request before anything is made.

mod options;
mod sysctls;
mod user_mapping;

pub use options::{namespaces, own_uts, privileged};
pub use sysctls::{is_of_interface, sysctls};
pub use user_mapping::user_mapping;

use crate::error::{Error, Result};
use gorae_proto::cri::{self, NamespaceMode};

/// The kernel's limit for a host name, in bytes.
const MAX_HOSTNAME: usize = 64;

/// Checks everything about the request that can be checked without touching the machine.
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
        return Err(Error::invalid(format!(
            "pod hostname {name:?} is longer than {MAX_HOSTNAME} bytes or not a valid name"
        )));
    }
    Ok(())
}

fn check_modes(config: &cri::PodSandboxConfig) -> Result<()> {
    let options = namespaces(config);
    let raw = [("network", options.network), ("ipc", options.ipc), ("pid", options.pid)];
    for (field, number) in raw {
        let mode = NamespaceMode::try_from(number)
            .map_err(|_| Error::invalid(format!("namespace_options.{field}: {number} is not a namespace mode")))?;
        let allowed = match field {
            "pid" => mode != NamespaceMode::Target,
            _ => matches!(mode, NamespaceMode::Pod | NamespaceMode::Node),
        };
        if !allowed {
            return Err(Error::invalid(format!(
                "namespace_options.{field}: {} is not allowed for a pod",
                mode.as_str_name()
            )));
        }
    }
    Ok(())
}

/// Checks the pod's security context. A pod has no process of its own, and containers carry their own contexts, so most of
/// it has no effect. It is checked nevertheless, because an error in it is a client's mistake.
fn check_security(config: &cri::PodSandboxConfig) -> Result<()> {
    let Some(context) = config.linux.as_ref().and_then(|l| l.security_context.as_ref()) else { return Ok(()) };
    crate::container::order::selinux::check(context.selinux_options.as_ref())?;
    if context.run_as_group.is_some() && context.run_as_user.is_none() {
        return Err(Error::invalid("pod security context: run_as_group is set without run_as_user"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod;
    use cri::{IdMapping, NamespaceOption, UserNamespace};

    fn config(options: NamespaceOption, sysctls: &[(&str, &str)]) -> cri::PodSandboxConfig {
        let mut config = pod::test_config(options);
        let [name, namespace, uid] = ["a", "b", "c"].map(str::to_owned);
        config.metadata = Some(cri::PodSandboxMetadata { name, namespace, uid, attempt: 0 });
        let sysctls = sysctls.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        config.linux.get_or_insert_default().sysctls = sysctls;
        config
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
