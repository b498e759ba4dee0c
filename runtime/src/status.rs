// SPDX-License-Identifier: Apache-2.0
//! Status: kubelet polls it to learn whether the node can run pods, and which features it has.

use gorae_node::Node;
use gorae_proto::cri;
use std::path::Path;

/// Builds the response from memory, without touching a container or a file. Only the first CNI configuration that is ever
/// seen is recorded here, before the condition follows from it.
pub fn view(node: &Node, socket: &Path, verbose: bool) -> cri::StatusResponse {
    let network = node.networks.status();
    let kernel = Kernel::here();
    let ready = cri::RuntimeCondition { r#type: "RuntimeReady".into(), status: true, ..Default::default() };
    let network = match network {
        Ok(()) => cri::RuntimeCondition {
            r#type: "NetworkReady".into(),
            status: true,
            reason: node.networks.degraded().map(|r| r.reason.to_owned()).unwrap_or_default(),
            message: node.networks.degraded().map(|r| r.message).unwrap_or_default(),
        },
        Err(why) => cri::RuntimeCondition {
            r#type: "NetworkReady".into(),
            status: false,
            reason: why.reason.to_owned(),
            message: why.message,
        },
    };
    cri::StatusResponse {
        status: Some(cri::RuntimeStatus { conditions: vec![ready, network] }),
        info: if verbose { info(node, socket) } else { Default::default() },
        runtime_handlers: node.settings.handlers.listed().map(|name| handler(name, &kernel)).collect(),
        features: Some(cri::RuntimeFeatures {
            supplemental_groups_policy: true,
            user_namespaces_host_network: kernel.user_namespaces,
            mount_options: true,
        }),
    }
}

fn handler(name: &str, kernel: &Kernel) -> cri::RuntimeHandler {
    let features = cri::RuntimeHandlerFeatures {
        recursive_read_only_mounts: kernel.mount_attributes,
        user_namespaces: kernel.user_namespaces,
    };
    cri::RuntimeHandler { name: name.into(), features: Some(features) }
}

/// Features of the running kernel, judged by its version.
#[derive(Debug, PartialEq, Eq)]
struct Kernel {
    /// mount_setattr(2), which can apply to a whole mount tree.
    mount_attributes: bool,
    /// User namespaces with an id-mapped overlay as the root file system.
    user_namespaces: bool,
}

impl Kernel {
    fn here() -> Self {
        Self::of(&rustix::system::uname().release().to_string_lossy())
    }

    fn of(release: &str) -> Self {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Self { mount_attributes: version >= (5, 12), user_namespaces: version >= (5, 19) }
    }
}

fn info(node: &Node, socket: &Path) -> std::collections::HashMap<String, String> {
    let config = serde_json::json!({
        "rootDir": node.machine.places.root,
        "stateDir": node.machine.places.state,
        "logDir": node.machine.places.root.join("logs"),
        "socket": socket,
        "cgroupVersion": if node.machine.layout.v1.is_empty() { "v2" } else { "v1" },
        "pods": node.objects.pods.len(),
        "containers": node.objects.containers.len(),
        "network": network(node),
        "operationsInFlight": node.runs.count() + node.creates.count(),
    });
    [("config".to_owned(), config.to_string())].into()
}

/// Which network new pods are in, and what is owed to networks.
fn network(node: &Node) -> serde_json::Value {
    let one = |owed: gorae_attachments::Owed| {
        serde_json::json!({
            "pod": owed.pod_name, "podId": owed.pod_id, "network": owed.network,
            "owedSince": owed.since, "failed": owed.failed, "why": owed.why,
        })
    };
    let owed: Vec<_> = node.networks.cni.attachments().owed().into_iter().map(one).collect();
    serde_json::json!({"choice": node.networks.choice_in_words(), "owed": owed})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_follow_the_kernels_version() {
        let both = |mount_attributes, user_namespaces| Kernel { mount_attributes, user_namespaces };
        assert_eq!(Kernel::of("5.4.0-150-generic"), both(false, false));
        assert_eq!(Kernel::of("5.15.0"), both(true, false));
        assert_eq!(Kernel::of("5.19"), both(true, true));
        assert_eq!(Kernel::of("6.12.38+deb12-cloud-amd64"), both(true, true));
        assert_eq!(Kernel::of("odd"), both(false, false));
    }
}
