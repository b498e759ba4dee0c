// SPDX-License-Identifier: Apache-2.0
//! Status: what kubelet polls to know whether the node can run pods, and what it can do.

use crate::cri::HANDLER;
use crate::node::Node;
use gorae_proto::cri;

/// Builds the answer from memory; touches no container and no file.
pub fn view(node: &Node, verbose: bool) -> cri::StatusResponse {
    let network = node.network.status();
    let ready = cri::RuntimeCondition { r#type: "RuntimeReady".into(), status: true, ..Default::default() };
    let network = match network {
        Ok(()) => cri::RuntimeCondition {
            r#type: "NetworkReady".into(),
            status: true,
            reason: node.network.degraded().map(|r| r.reason.to_owned()).unwrap_or_default(),
            message: node.network.degraded().map(|r| r.message).unwrap_or_default(),
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
        info: if verbose { info(node) } else { Default::default() },
        runtime_handlers: ["", HANDLER].into_iter().map(handler).collect(),
        features: Some(cri::RuntimeFeatures {
            supplemental_groups_policy: true,
            user_namespaces_host_network: false,
            mount_options: true,
        }),
    }
}

fn handler(name: &str) -> cri::RuntimeHandler {
    cri::RuntimeHandler {
        name: name.into(),
        features: Some(cri::RuntimeHandlerFeatures { recursive_read_only_mounts: true, user_namespaces: true }),
    }
}

fn info(node: &Node) -> std::collections::HashMap<String, String> {
    let config = serde_json::json!({
        "rootDir": node.places.root,
        "stateDir": node.places.state,
        "logDir": node.places.root.join("logs"),
        "socket": node.config.socket,
        "cgroupVersion": if node.layout.v1.is_empty() { "v2" } else { "v1" },
        "pods": node.pods.len(),
        "containers": node.containers.len(),
        "operationsInFlight": node.runs.count() + node.creates.count(),
    });
    [("config".to_owned(), config.to_string())].into()
}
