// SPDX-License-Identifier: Apache-2.0
//! Pods: one file per CRI verb, and the [`Pod`] that they work on.
//!
//! ```text
//!            RunPodSandbox
//!   (intent) ─────────────▶ Ready ──StopPodSandbox──▶ NotReady ──RemovePodSandbox──▶ gone
//!                             ├──its init dies──────▶    ▲ │
//!                             └──its pins are lost──▶    └─┘ stop again: settles what is left
//! ```
//!
//! On disk: `ROOT/pods/ID/record` is the request (`record.new` before the pod is made: the intent), and `STATE/pods/ID`
//! holds the pins and `ready`. A pod is Ready while `ready` exists. Removing that file is the first step of a stop, so
//! that the next daemon continues a stop that was interrupted.

mod attach;
mod cni_result;
pub mod connecting;
pub(crate) mod etc_files;
mod follow_places;
mod name_table;
pub mod netns;
pub(crate) mod pins;
mod reach;
mod reached;
pub(crate) mod readdress;
mod record;
pub mod remove;
pub(crate) mod request;
mod reserve;
pub mod resources;
pub mod run;
pub mod settings;
pub(crate) mod shared_memory;
pub mod stop;
pub(crate) mod upkeep;
pub mod user_networks;
pub mod verbose;
pub mod view;
pub(crate) mod watch;

pub use record::{Network, Owner, Pins, Record, Resources, Up};
pub(crate) use record::{RECORD_KIND, RECORD_VERSION, UP_KIND, UP_VERSION};
#[cfg(test)]
pub(crate) use record::{test_config, test_record};

use crate::disposable::PlainData;
use crate::ids::PodId;
use gorae_proto::cri;
use gorae_proto::gorae::PodNetworkSettings;
use std::sync::{Arc, Mutex, PoisonError};

/// Whether the pod can hold containers.
#[derive(Debug, Clone)]
pub enum State {
    /// Its namespaces are pinned and its network is up.
    Ready(Up),
    /// It was stopped, or the machine was rebooted.
    NotReady,
}

/// One pod.
#[derive(Debug)]
pub struct Pod {
    /// The request, and what was allocated for it.
    pub record: Record,
    /// The resources that kubelet last reported, which change nothing on the machine.
    pub resources: Mutex<Option<Resources>>,
    /// What people changed of its settings.
    settings: Mutex<Option<PodNetworkSettings>>,
    state: Mutex<State>,
    /// Held by the verb that works on this pod.
    pub verb: tokio::sync::Mutex<()>,
}

/// A pod is a record, a state and locks; it owns no descriptor.
impl PlainData for Pod {}

impl Pod {
    /// Makes a pod with this record, in this state.
    pub fn new(record: Record, state: State) -> Arc<Self> {
        Arc::new(Self {
            record,
            resources: Mutex::new(None),
            settings: Mutex::new(None),
            state: Mutex::new(state),
            verb: tokio::sync::Mutex::new(()),
        })
    }

    /// The pod's id.
    pub fn id(&self) -> &PodId {
        &self.record.id
    }

    /// A copy of the state.
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether containers can be made in it.
    pub fn is_ready(&self) -> bool {
        matches!(self.state(), State::Ready(_))
    }

    /// Replaces what is known of a ready pod.
    ///
    /// # Errors
    /// It is not ready any more.
    pub(crate) fn set_ready(&self, up: Up) -> Result<(), ()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::Ready(_)) {
            return Err(());
        }
        *state = State::Ready(up);
        Ok(())
    }

    /// Moves from Ready to NotReady. There is no way back.
    pub(crate) fn set_not_ready(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::NotReady;
    }

    /// The identity that kubelet's retries share.
    pub fn key(config: &cri::PodSandboxConfig) -> String {
        let m = config.metadata.clone().unwrap_or_default();
        format!("{}\0{}\0{}\0{}\0", m.namespace, m.name, m.uid, m.attempt)
    }

    /// `namespace/name`, for messages.
    pub fn title(config: &cri::PodSandboxConfig) -> String {
        let m = config.metadata.clone().unwrap_or_default();
        format!("{}/{}", m.namespace, m.name)
    }

    /// The request's namespace options; each unset one is `POD`.
    pub fn namespaces(&self) -> cri::NamespaceOption {
        request::namespaces(&self.record.config)
    }

    /// Whether the pod has its own network namespace.
    pub fn own_network(&self) -> bool {
        self.namespaces().network() != cri::NamespaceMode::Node
    }

    /// Whether the pod has its own host name, in its own UTS namespace. A pod on the node's network has one if it was made
    /// with one: earlier builds ignored such a name.
    pub fn own_uts(&self) -> bool {
        self.own_network() || matches!(self.state(), State::Ready(up) if up.pins.contains_key("uts"))
    }

    /// Whether all containers share one PID namespace.
    pub fn shared_pid(&self) -> bool {
        self.namespaces().pid() == cri::NamespaceMode::Pod
    }

    /// The id mapping of the pod's user namespace, if it has its own.
    pub fn user_mapping(&self) -> Option<gorae_proto::shim::UserMapping> {
        request::user_mapping(&self.record.config).ok().flatten()
    }
}
