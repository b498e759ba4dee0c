// SPDX-License-Identifier: Apache-2.0
//! Chooses a container's namespaces: its own, the pod's pinned ones, another container's, or the node's.

use super::facts::Facts;
use crate::error::{Error, Result};
use crate::pod::Pod;
use gorae_order::namespaces::{Namespace, Namespaces};
use gorae_proto::cri::{LinuxContainerSecurityContext, NamespaceMode};

/// Chooses the namespaces.
///
/// # Errors
/// `InvalidArgument` when the container requests namespaces that its pod does not have, `FailedPrecondition` when the
/// target of pid mode TARGET is not running.
pub fn build(pod: &Pod, security: &LinuxContainerSecurityContext, facts: &Facts) -> Result<Namespaces> {
    let pods = pod.namespaces();
    let asked = security.namespace_options.as_ref().unwrap_or(&pods);
    agree("network", asked.network, pods.network)?;
    agree("ipc", asked.ipc, pods.ipc)?;
    let run_dir = facts.places.pod_run(pod.id());
    let pinned_when = |own: bool, name: &str| match own {
        true => Namespace::Pinned(pod.record.pin(&run_dir, name).to_string_lossy().into_owned()),
        false => Namespace::Node,
    };
    Ok(Namespaces {
        user: pinned_when(pod.user_mapping().is_some(), "user"),
        network: pinned_when(pod.own_network(), "net"),
        uts: pinned_when(pod.own_uts(), "uts"),
        ipc: pinned_when(pods.ipc() != NamespaceMode::Node, "ipc"),
        pid: match mode("pid", asked.pid)? {
            NamespaceMode::Container => Namespace::New,
            NamespaceMode::Node => Namespace::Node,
            NamespaceMode::Pod if pod.shared_pid() => pinned_when(true, "pid"),
            NamespaceMode::Pod => {
                return Err(Error::invalid("namespace_options.pid: POD, but the pod has no shared PID namespace"));
            }
            NamespaceMode::Target => {
                facts.target.clone().ok_or_else(|| Error::internal("the target was not looked up"))?
            }
        },
        cgroup: if security.privileged { Namespace::Node } else { Namespace::New },
    })
}

fn mode(field: &str, number: i32) -> Result<NamespaceMode> {
    NamespaceMode::try_from(number)
        .map_err(|_| Error::invalid(format!("namespace_options.{field}: {number} is not a namespace mode")))
}

fn agree(field: &str, container: i32, pod: i32) -> Result<()> {
    let mode = mode(field, container)?;
    if !matches!(mode, NamespaceMode::Pod | NamespaceMode::Node) {
        return Err(Error::invalid(format!("namespace_options.{field}: {} is not allowed here", mode.as_str_name())));
    }
    // POD is the zero value: a container without another mode uses the pod's namespaces.
    if mode == NamespaceMode::Node && container != pod {
        return Err(Error::invalid(format!("namespace_options.{field}: NODE, but the pod has its own")));
    }
    Ok(())
}
