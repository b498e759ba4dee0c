// SPDX-License-Identifier: Apache-2.0
//! Pods: one file per CRI verb, and the [`Pod`] they work on.
//!
//! ```text
//!            RunPodSandbox
//!   (intent) ─────────────▶ Ready ──StopPodSandbox──▶ NotReady ──RemovePodSandbox──▶ gone
//!                             ├──its init dies──────▶    ▲ │
//!                             └──its pins are lost──▶    └─┘ stop again: settles what is still owed
//! ```
//!
//! On disk: `ROOT/pods/ID/record` is what was asked (`record.new` before the pod is made: the intent), and
//! `STATE/pods/ID` holds the pins and `ready`. A pod is Ready when `ready` is there; removing that file is the
//! first step of a stop, so that a daemon that dies in between goes on with the stop.

pub mod etc_files;
pub mod pins;
pub mod remove;
pub mod request;
pub mod resources;
pub mod run;
pub mod stop;
pub mod view;
pub mod watch;

use crate::error::Result;
use crate::records;
use gorae_proto::cri;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

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
    pub pins: pins::Pins,
}

/// Whether the pod can hold containers.
#[derive(Debug, Clone)]
pub enum State {
    /// Its namespaces are pinned and its network is up.
    Ready(Up),
    /// It was stopped, or the machine was restarted.
    NotReady,
}

/// One pod.
#[derive(Debug)]
pub struct Pod {
    /// What was asked.
    pub record: Record,
    /// The latest change of resources, which changes nothing on the machine.
    pub resources: Mutex<Option<Resources>>,
    state: Mutex<State>,
    /// Held by the one verb that works on this pod.
    pub verb: tokio::sync::Mutex<()>,
}

/// What UpdatePodSandboxResources said last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resources {
    /// Overhead.
    pub overhead: Option<cri::LinuxContainerResources>,
    /// Sum of the containers.
    pub resources: Option<cri::LinuxContainerResources>,
}

impl Pod {
    /// A pod in a state.
    pub fn new(record: Record, state: State) -> Arc<Self> {
        Arc::new(Self {
            record,
            resources: Mutex::new(None),
            state: Mutex::new(state),
            verb: tokio::sync::Mutex::new(()),
        })
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// A copy of the state.
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True when containers can be made in it.
    pub fn is_ready(&self) -> bool {
        matches!(self.state(), State::Ready(_))
    }

    /// The move Ready → NotReady; the other way does not exist.
    pub(crate) fn set_not_ready(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::NotReady;
    }

    /// The identity by which kubelet repeats a request.
    pub fn key(config: &cri::PodSandboxConfig) -> String {
        let m = config.metadata.clone().unwrap_or_default();
        format!("{}\0{}\0{}\0{}", m.namespace, m.name, m.uid, m.attempt)
    }

    /// `namespace/name` for people.
    pub fn title(config: &cri::PodSandboxConfig) -> String {
        let m = config.metadata.clone().unwrap_or_default();
        format!("{}/{}", m.namespace, m.name)
    }

    /// The request's namespace options; unset means all of them `POD`.
    pub fn namespaces(&self) -> cri::NamespaceOption {
        request::namespaces(&self.record.config)
    }

    /// True when the pod has its own network namespace.
    pub fn own_network(&self) -> bool {
        self.namespaces().network() != cri::NamespaceMode::Node
    }

    /// True when the pod has a host name of its own, in a namespace for it. On the node's network it has one when it was
    /// made with one: earlier builds left such a name out.
    pub fn own_uts(&self) -> bool {
        self.own_network() || matches!(self.state(), State::Ready(up) if up.pins.contains_key("uts"))
    }

    /// True when one pid namespace is shared by all containers.
    pub fn shared_pid(&self) -> bool {
        self.namespaces().pid() == cri::NamespaceMode::Pod
    }

    /// The user namespace mapping, when the pod has its own.
    pub fn user_mapping(&self) -> Option<gorae_proto::shim::UserMapping> {
        request::user_mapping(&self.record.config).ok().flatten()
    }
}

/// Where a node keeps its pods and containers.
#[derive(Debug, Clone)]
pub struct Places {
    /// Survives a reboot.
    pub root: PathBuf,
    /// Lives as long as the machine runs.
    pub state: PathBuf,
}

impl Places {
    /// `ROOT/pods/ID`.
    pub fn pod_root(&self, id: &str) -> PathBuf {
        self.root.join("pods").join(id)
    }

    /// `STATE/pods/ID`.
    pub fn pod_run(&self, id: &str) -> PathBuf {
        self.state.join("pods").join(id)
    }

    /// `ROOT/containers/ID`.
    pub fn container_root(&self, id: &str) -> PathBuf {
        self.root.join("containers").join(id)
    }

    /// `STATE/containers/ID`.
    pub fn container_run(&self, id: &str) -> PathBuf {
        self.state.join("containers").join(id)
    }

    /// Where directories go in the instant of their removal.
    pub fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// Where directories with unreadable records are kept for a person to look at.
    pub fn damaged(&self) -> PathBuf {
        self.root.join("damaged")
    }

    /// Makes the directories that are always there.
    ///
    /// Others can go through `STATE`, to the socket, and through `STATE/containers`: hooks that run in a user namespace
    /// find the container's root below it. The rest is for root.
    ///
    /// # Errors
    /// The kernel's, with the path.
    pub fn prepare(&self) -> Result<()> {
        records::make_dir(&self.root)?;
        for name in ["pods", "containers", "trash"] {
            records::make_private_dir(&self.root.join(name))?;
        }
        if self.damaged().exists() {
            records::make_private_dir(&self.damaged())?;
        }
        records::make_dir(&self.state)?;
        records::make_private_dir(&self.state.join("pods"))?;
        records::make_dir(&self.state.join("containers"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, metadata, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_roots_alone_is_so_again_after_a_start() {
        let dir = tempfile::tempdir().expect("tempdir");
        let places = Places { root: dir.path().join("root"), state: dir.path().join("state") };
        places.prepare().expect("made");
        crate::records::make_private_dir(&places.damaged()).expect("made");
        let private = [places.root.join("pods"), places.root.join("containers"), places.trash(), places.damaged()];
        let private = private.into_iter().chain([places.state.join("pods")]);
        for path in private.clone() {
            set_permissions(&path, Permissions::from_mode(0o755)).expect("widened");
        }
        places.prepare().expect("there already");
        for path in private {
            assert_eq!(metadata(&path).expect("there").permissions().mode() & 0o7777, 0o700, "{}", path.display());
        }
    }
}
