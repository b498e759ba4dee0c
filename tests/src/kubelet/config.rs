// SPDX-License-Identifier: Apache-2.0
//! Kubelet's configuration for a test: everything in the test's own directories, short periods, no API server.

use serde_json::{Value, json};
use std::path::Path;

/// Feature gates that are switched on beside kubelet's defaults.
pub type Gates = &'static [&'static str];

/// A kubelet as it comes: it lists pods every second and takes usage from its own cAdvisor.
pub const DEFAULT: Gates = &[];
/// A kubelet that asks a runtime for everything it can: events instead of lists, lists as streams, usage of pods and
/// containers, stop signals.
pub const ALPHA: Gates = &["EventedPLEG", "CRIListStreaming", "PodAndContainerStatsFromCRI", "ContainerStopSignals"];

/// The node's name, which kubelet appends to a static pod's.
pub const NODE_NAME: &str = "node";

/// Where a kubelet listens.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// For its API, over TLS.
    pub api: u16,
    /// For `/healthz`.
    pub health: u16,
}

/// The `KubeletConfiguration` of a kubelet at home in a directory.
pub fn kubelet(home: &Path, endpoint: &str, ports: Ports, gates: Gates) -> Value {
    let gates: serde_json::Map<_, _> = gates.iter().map(|gate| ((*gate).to_owned(), json!(true))).collect();
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": endpoint,
        "featureGates": gates,

        "staticPodPath": home.join("manifests"),
        "podLogsDir": home.join("logs"),
        "volumePluginDir": home.join("volume-plugins"),

        "address": "127.0.0.1",
        "port": ports.api,
        "readOnlyPort": 0,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": ports.health,
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "registerNode": false,

        "cgroupDriver": "cgroupfs",
        "failCgroupV1": false,
        "failSwapOn": false,
        "enforceNodeAllocatable": [],
        "makeIPTablesUtilChains": false,
        "evictionHard": {"memory.available": "1Mi", "nodefs.available": "1Mi", "imagefs.available": "1Mi"},
        "maxOpenFiles": 4096,
        "oomScoreAdj": 0,
        "imageGCHighThresholdPercent": 100,
        "imageMinimumGCAge": "1h",

        "syncFrequency": "1s",
        "fileCheckFrequency": "1s",
        "nodeStatusUpdateFrequency": "1s",
        "volumeStatsAggPeriod": "1s",
        "crashLoopBackOff": {"maxContainerRestartPeriod": "2s"},
    })
}
