// SPDX-License-Identifier: Apache-2.0
//! Which namespaces a container gets: its own, the pod's pins, another container's, or the node's.

use super::Context;
use crate::error::{Error, Result};
use crate::pod::Pod;
use gorae_proto::cri::{self, NamespaceMode};
use gorae_proto::shim::{Namespace, namespace::Kind};

/// Builds the list; a kind that is not in it is the node's.
///
/// # Errors
/// `InvalidArgument` when the container asks for namespaces that its pod does not have,
/// `FailedPrecondition` when the target of pid mode TARGET is not running.
pub fn build(pod: &Pod, security: &cri::LinuxContainerSecurityContext, node: &Context) -> Result<Vec<Namespace>> {
    let asked = security.namespace_options.clone().unwrap_or_else(|| pod.namespaces());
    let pods = pod.namespaces();
    agree("network", asked.network, pods.network)?;
    agree("ipc", asked.ipc, pods.ipc)?;
    let pins = node.places.pod_run(pod.id()).join("ns");
    let at = |kind: Kind, path: String, start_ticks| Namespace { kind: kind.into(), path, start_ticks };
    let pin = |kind: Kind, name: &str| at(kind, pins.join(name).to_string_lossy().into_owned(), 0);
    let own = |kind: Kind| at(kind, String::new(), 0);
    let mut list = vec![own(Kind::Mount)];
    if pod.user_mapping().is_some() {
        list.push(pin(Kind::User, "user"));
    }
    if pod.own_network() {
        list.push(pin(Kind::Net, "net"));
    }
    if pod.own_uts() {
        list.push(pin(Kind::Uts, "uts"));
    }
    if pods.ipc() != NamespaceMode::Node {
        list.push(pin(Kind::Ipc, "ipc"));
    }
    match asked.pid() {
        NamespaceMode::Container => list.push(own(Kind::Pid)),
        NamespaceMode::Node => {}
        NamespaceMode::Pod if pod.shared_pid() => list.push(pin(Kind::Pid, "pid")),
        NamespaceMode::Pod => {
            return Err(Error::invalid("namespace_options.pid: POD, but the pod was made without a shared one"));
        }
        NamespaceMode::Target => {
            let target = node.target.ok_or_else(|| {
                Error::precondition(format!("pid target {:?} is not running in this pod", asked.target_id))
            })?;
            list.push(at(Kind::Pid, format!("/proc/{}/ns/pid", target.pid), target.start));
        }
    }
    if !security.privileged && !node.layout.unified.is_empty() {
        list.push(own(Kind::Cgroup));
    }
    Ok(list)
}

fn agree(field: &str, container: i32, pod: i32) -> Result<()> {
    let mode = NamespaceMode::try_from(container)
        .map_err(|_| Error::invalid(format!("namespace_options.{field}: {container} is no namespace mode")))?;
    if !matches!(mode, NamespaceMode::Pod | NamespaceMode::Node) {
        return Err(Error::invalid(format!("namespace_options.{field}: {} cannot be", mode.as_str_name())));
    }
    // POD is the zero value: a container that says nothing else takes part in what the pod has.
    if mode == NamespaceMode::Node && container != pod {
        return Err(Error::invalid(format!("namespace_options.{field}: NODE, but the pod has its own")));
    }
    Ok(())
}
