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
mod record;
pub mod remove;
pub mod request;
pub mod resources;
pub mod run;
pub mod shared_memory;
pub mod stop;
pub mod view;
pub mod watch;

#[cfg(test)]
pub(crate) use record::test_record;
pub use record::{Network, Owner, Pins, RECORD_KIND, RECORD_VERSION, Record, Resources, Up};

use crate::disposable::PlainData;
use crate::ids::PodId;
use gorae_proto::cri;
use std::sync::{Arc, Mutex, PoisonError};

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

/// A pod is a record, a state and locks; it has no descriptor.
impl PlainData for Arc<Pod> {}

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
    pub fn id(&self) -> &PodId {
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
        format!("{}\0{}\0{}\0{}\0", m.namespace, m.name, m.uid, m.attempt)
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
