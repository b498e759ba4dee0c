// SPDX-License-Identifier: Apache-2.0
//! The pod's records on disk: the request and its allocations, the result of making the pod, and kubelet's later reports.

use crate::error::{Error, Result};
use crate::ids::PodId;
use gorae_kernel::process::ProcessId;
use gorae_network::Mapper;
use gorae_proto::cri;
use gorae_proto::gorae::PodNetworkSettings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Version of the pod record.
pub const RECORD_VERSION: u32 = 1;
/// Kind of the pod record.
pub const RECORD_KIND: &str = "pod";

/// Version of the record of a pod that is up.
pub const UP_VERSION: u32 = 1;
/// Kind and file name of the record of a pod that is up.
pub const UP_KIND: &str = "ready";

/// The request, and what was allocated for it before the pod was made. It never changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Also the name of its directory.
    pub id: PodId,
    /// The maker of the pod, which decides which clients see it.
    pub owner: Owner,
    /// The request.
    pub config: cri::PodSandboxConfig,
    /// What the request had besides the configuration, for a pod of people.
    #[serde(default)]
    pub settings: Option<PodNetworkSettings>,
    /// As requested; empty stays empty.
    pub runtime_handler: String,
    /// Wall clock, nanoseconds.
    pub created_at: i64,
    /// Its allocation from a network.
    pub network: Network,
    /// The file of its network namespace, where agents look for it. `None`: with its other pins, for a pod on the node's
    /// network and for pods of earlier builds.
    #[serde(default)]
    pub netns: Option<PathBuf>,
    /// The SELinux level of its processes and files, if one was allocated.
    pub selinux_level: Option<String>,
    /// The pod's cgroup, below each mount point.
    pub cgroup: String,
    /// Whether we own the cgroup and have to remove it.
    pub own_cgroup: bool,
    /// Parent cgroups that did not exist before. They are removed with the pod if they are empty.
    pub made_cgroups: Vec<String>,
}

/// The maker of a pod.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// A client of the CRI made it.
    #[default]
    Cri,
    /// The daemon's own engine made it, for a plain container; clients of the CRI never see it.
    Engine,
}

/// What a network allocated for a pod before it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Network {
    /// Nothing: the pod is in the node's network namespace.
    Host,
    /// Nothing: the pod has only a loopback interface.
    Loopback,
    /// Nothing: the pod is in the network namespace of this one.
    Of {
        /// Its id.
        pod: PodId,
        /// Its host name, which is this pod's, too.
        hostname: String,
    },
    /// Nothing: the pod is in networks that people made, and its memberships have a record of their own.
    People,
    /// Addresses of the built-in network.
    Builtin {
        /// The primary address first.
        addresses: Vec<IpAddr>,
        /// Name of the veth end in the bridge.
        host_interface: String,
    },
    /// Only the choice: the plugins of a CNI configuration return addresses when the pod is made, and the attachment has a
    /// record of its own.
    Cni {
        /// The name in the configuration.
        name: String,
        /// One of its plugins maps the pod's host ports; else the daemon does.
        #[serde(default)]
        maps_ports: bool,
    },
}

impl Network {
    /// The addresses that this daemon allocated; they are in use until the pod's stop is done.
    pub fn given_out(&self) -> &[IpAddr] {
        match self {
            Self::Builtin { addresses, .. } => addresses,
            _ => &[],
        }
    }

    /// Who maps the pod's host ports.
    pub fn mapper(&self) -> Mapper {
        match self {
            Self::Cni { maps_ports: true, .. } => Mapper::Plugin,
            _ => Mapper::Gorae,
        }
    }

    /// The interface in the node's namespace that this daemon named; empty if there is none, as on the wire.
    pub fn host_interface(&self) -> &str {
        match self {
            Self::Builtin { host_interface, .. } => host_interface,
            _ => "",
        }
    }
}

impl Record {
    /// Checks that this program can run and stop the pod. Part of the record's shape is for later versions: their pods have
    /// resources that this one does not know, and would leave behind.
    ///
    /// # Errors
    /// The field and its value, in words.
    pub fn check_known(&self) -> std::result::Result<(), String> {
        match self.owner {
            Owner::Cri => Ok(()),
            Owner::Engine => Err("owner: the daemon's own engine, which this program does not have".to_owned()),
        }
    }

    /// Whether the pod is in the network namespace of another one.
    pub fn is_guest(&self) -> bool {
        matches!(self.network, Network::Of { .. })
    }

    /// The host name that the pod's processes see: the requested one, or the node's.
    ///
    /// # Errors
    /// When the node's host name is not valid text.
    pub fn hostname(&self) -> Result<String> {
        if let Network::Of { hostname, .. } = &self.network {
            return Ok(hostname.clone());
        }
        if self.config.hostname.is_empty() {
            let node = rustix::system::uname();
            let name = node.nodename().to_str();
            return name.map(str::to_owned).map_err(|e| Error::internal(format!("the node's host name: {e}")));
        }
        Ok(self.config.hostname.clone())
    }

    /// The pin of a namespace of this kind; `run_dir` is the pod's.
    pub fn pin(&self, run_dir: &Path, kind: &str) -> PathBuf {
        match (&self.netns, kind) {
            (Some(netns), "net") => netns.clone(),
            _ => run_dir.join("ns").join(kind),
        }
    }

    /// The path of the network namespace's pin as messages to shims have it: empty where it is with the others.
    pub fn netns_on_wire(&self) -> String {
        self.netns.as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The cgroup in the form that is used to place containers.
    pub fn pod_cgroup(&self) -> gorae_cgroups::PodCgroup {
        gorae_cgroups::PodCgroup { path: self.cgroup.clone(), own: self.own_cgroup }
    }
}

/// The result of making the pod. It is written when the pod is up.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Up {
    /// The pod's init, if it has one.
    pub init: Option<ProcessId>,
    /// The boot in which the pod was made.
    pub boot_id: String,
    /// The namespaces that were pinned.
    pub pins: Pins,
    /// The pod's addresses, the primary one first; empty in the node's network namespace.
    pub addresses: Vec<IpAddr>,
    /// Those that its host ports lead to, for a pod whose ports do not lead to the built-in network; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Vec<IpAddr>>,
    /// The pod's hosts file has not followed its addresses yet: these are to leave it. `None`: it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts_due: Option<Vec<IpAddr>>,
}

impl Up {
    /// The same pod with these addresses, which its hosts file is to follow.
    pub fn with_addresses(self, addresses: Vec<IpAddr>) -> Self {
        if self.addresses == addresses && self.hosts_due.is_none() {
            return self;
        }
        let mut due: Vec<IpAddr> = self.hosts_due.iter().flatten().chain(&self.addresses).copied().collect();
        due.retain(|ip| !addresses.contains(ip));
        Self { addresses, hosts_due: Some(due), ..self }
    }

    /// The addresses that the pod's host ports lead to, the first of each family.
    pub fn published(&self) -> &[IpAddr] {
        self.published.as_deref().unwrap_or(&self.addresses)
    }
}

/// The pinned namespaces: kind and inode number. No other namespace has that number while this one exists.
pub type Pins = BTreeMap<String, u64>;

/// The content of the last UpdatePodSandboxResources.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resources {
    /// The overhead of the pod itself.
    pub overhead: Option<cri::LinuxContainerResources>,
    /// The sum of its containers' resources.
    pub resources: Option<cri::LinuxContainerResources>,
}

/// A request for tests, with these namespace options.
#[cfg(test)]
pub(crate) fn test_config(options: cri::NamespaceOption) -> cri::PodSandboxConfig {
    let context = cri::LinuxSandboxSecurityContext { namespace_options: Some(options), ..Default::default() };
    let linux = cri::LinuxPodSandboxConfig { security_context: Some(context), ..Default::default() };
    cri::PodSandboxConfig { linux: Some(linux), ..Default::default() }
}

/// A pod's record for tests: the pod has no network of ours, and its namespaces are the CRI's zero values.
#[cfg(test)]
pub(crate) fn test_record(config: cri::PodSandboxConfig) -> Record {
    Record {
        id: PodId::of_digit('a'),
        owner: Owner::Cri,
        config,
        settings: None,
        runtime_handler: String::new(),
        created_at: 1,
        network: Network::Host,
        netns: None,
        selinux_level: None,
        cgroup: String::new(),
        own_cgroup: true,
        made_cgroups: Vec::new(),
    }
}
