// SPDX-License-Identifier: Apache-2.0
//! The `info` of a verbose status.

use super::{Pod, Record, State, cni_result, netns, pins};
use crate::node::Node;
use std::collections::HashMap;
use std::path::Path;

/// The JSON under `info` of a verbose status.
pub fn info(node: &Node, pod: &Pod) -> HashMap<String, String> {
    let (places, record) = (&node.machine.places, &pod.record);
    let init_pid = match pod.state() {
        State::Ready(up) => up.init.map_or(0, |init| init.pid()),
        State::NotReady => 0,
    };
    let resources = pod.resources.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let info = serde_json::json!({
        "pid": init_pid,
        "cgroup": record.cgroup,
        "hostInterface": record.network.host_interface(),
        "namespaces": places.pod_run(pod.id()).join("ns"),
        "config": record.config,
        "resources": resources,
        "runtimeSpec": {"linux": {"namespaces": namespaces(&places.pod_run(pod.id()), record)}},
        "cniResult": node.networks.cni.attachments().get(pod.id()).and_then(|kept| cni_result::of(&kept)),
    });
    [("info".to_owned(), info.to_string())].into()
}

/// The pod's own namespaces, as a runtime spec has them. Debugging tools read the network's path from here.
fn namespaces(run_dir: &Path, record: &Record) -> Vec<serde_json::Value> {
    let one = |kind: &str| {
        let path = record.pin(run_dir, kind);
        let (name, path) = if kind == "net" { ("network", netns::named(&path)) } else { (kind, text(&path)) };
        serde_json::json!({"type": name, "path": path})
    };
    pins::kinds(record).map(one).collect()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
