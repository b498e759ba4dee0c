// SPDX-License-Identifier: Apache-2.0
//! The pod's records on disk: what was asked and given out, what the machine answered, and what was said later.

use gorae_kernel::process::ProcessId;
use gorae_proto::cri;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Version of the pod record.
pub const RECORD_VERSION: u32 = 1;
/// Kind of the pod record.
pub const RECORD_KIND: &str = "pod";

/// What was asked, and what was given out for it before it was made. Never changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// 64 hex digits.
    pub id: String,
    /// The request.
    pub config: cri::PodSandboxConfig,
    /// As asked; empty stays empty.
    pub runtime_handler: String,
    /// Wall clock, nanoseconds.
    pub created_at: i64,
    /// The pod's addresses, the primary first; empty for host network.
    pub ips: Vec<IpAddr>,
    /// Name of the veth end in the bridge; empty for host network.
    pub host_interface: String,
    /// The pod's cgroup, below each mount point.
    pub cgroup: String,
    /// True when the cgroup is ours to remove.
    pub own_cgroup: bool,
    /// Parents that did not exist before and are removed with the pod when empty.
    pub made_cgroups: Vec<String>,
}

impl Record {
    /// The cgroup in the form that the placement of containers takes.
    pub fn pod_cgroup(&self) -> gorae_cgroups::PodCgroup {
        gorae_cgroups::PodCgroup { path: self.cgroup.clone(), own: self.own_cgroup }
    }
}

/// Written when the pod is up: what the machine answered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Up {
    /// Pid of the pod's init, 0 when it has none.
    pub init_pid: u32,
    /// Start time of that process in ticks.
    pub init_start_ticks: u64,
    /// Boot in which the pod was made.
    pub boot_id: String,
    /// The namespaces that were pinned; empty in a pod of an earlier build.
    #[serde(default)]
    pub pins: Pins,
}

impl Up {
    /// The pod's init, when it has one.
    pub fn init(&self) -> Option<ProcessId> {
        ProcessId::from_wire(self.init_pid, self.init_start_ticks)
    }
}

/// Which namespaces are pinned: kind and inode number, which no other namespace has while this one lives.
pub type Pins = BTreeMap<String, u64>;

/// What UpdatePodSandboxResources said last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resources {
    /// Overhead.
    pub overhead: Option<cri::LinuxContainerResources>,
    /// Sum of the containers.
    pub resources: Option<cri::LinuxContainerResources>,
}
