// SPDX-License-Identifier: Apache-2.0
//! What a device changes in a container.

use serde::{Deserialize, Serialize};

/// Changes to a container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ContainerEdits {
    /// `NAME=VALUE`.
    pub env: Vec<String>,
    /// Nodes in the container.
    pub device_nodes: Vec<DeviceNode>,
    /// Interfaces of the host that move into the container.
    pub net_devices: Vec<NetDevice>,
    /// Files and directories of the host.
    pub mounts: Vec<Mount>,
    /// Programs that run at certain points of the container's life.
    pub hooks: Vec<Hook>,
    /// Supplementary groups of the process.
    pub additional_gids: Vec<u32>,
    /// Cache and memory bandwidth.
    pub intel_rdt: Option<IntelRdt>,
}

/// A device node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeviceNode {
    /// Path in the container, absolute.
    pub path: String,
    /// Path on the host; empty: the same path.
    pub host_path: String,
    /// `b`, `c`, `u` or `p`; empty: the host's.
    #[serde(rename = "type")]
    pub kind: String,
    /// The major number; 0: the numbers of the host's node.
    pub major: u32,
    /// The minor number that goes with `major`.
    pub minor: u32,
    /// Unset: the host's.
    pub file_mode: Option<u32>,
    /// Subset of `rwm`; empty: all three.
    pub permissions: String,
    /// Unset: the container's process owns it.
    pub uid: Option<u32>,
    /// Unset: the group of the container's process.
    pub gid: Option<u32>,
}

/// A mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mount {
    /// Path on the host.
    pub host_path: String,
    /// Path in the container, absolute.
    pub container_path: String,
    /// Empty or `bind`: a bind mount; `tmpfs`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Options of mount(8).
    #[serde(default)]
    pub options: Vec<String>,
}

/// A program that runs at a point of the container's life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hook {
    /// The point, as the OCI runtime specification names it.
    pub hook_name: String,
    /// The program, absolute.
    pub path: String,
    /// Its arguments, its own name included.
    #[serde(default)]
    pub args: Vec<String>,
    /// `NAME=VALUE`.
    #[serde(default)]
    pub env: Vec<String>,
    /// Seconds; unset: the daemon's own limit.
    #[serde(default)]
    pub timeout: Option<u32>,
}

/// Intel Resource Director Technology.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IntelRdt {
    /// The class of service.
    #[serde(rename = "closID")]
    pub clos_id: String,
    /// The schema of the L3 cache.
    pub l3_cache_schema: String,
    /// The schema of the memory bandwidth.
    pub mem_bw_schema: String,
    /// Whether the use of the cache is monitored.
    #[serde(rename = "enableCMT")]
    pub enable_cmt: bool,
    /// Whether the memory bandwidth is monitored.
    #[serde(rename = "enableMBM")]
    pub enable_mbm: bool,
    /// Lines of the class's schemata file.
    pub schemata: Vec<String>,
    /// Whether the container has a monitoring group of its own.
    pub enable_monitoring: bool,
}

/// A network interface of the host.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NetDevice {
    /// Its name on the host.
    pub host_interface_name: String,
    /// Its name in the container.
    pub name: String,
}
