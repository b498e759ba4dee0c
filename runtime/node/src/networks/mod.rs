// SPDX-License-Identifier: Apache-2.0
//! The networks that a pod can be in: the built-in one, the one of a CNI configuration, and those that people made.
//!
//! A pod is in one of the first two for life, unless somebody asked for others, and its record says in which. New pods go where the mode says. In `auto`, which is the
//! default, that is CNI from the moment a configuration is first seen, and for good: a cluster's network is installed
//! minutes after its nodes start, and takes its file away while it is upgraded. A pod that starts in the built-in network
//! then can be reached by nobody, and stays there.

mod capabilities;
mod quantity;
mod seen;

pub use capabilities::capabilities;

use crate::disk;
use crate::error::{Error, Kind, Result};
use crate::names::NameKeeper;
use crate::places::Places;
use crate::pod::netns;
use gorae_attachments::CniNetwork;
use gorae_cni::directory::Chosen;
use gorae_network::{Network, Reason};
use gorae_user_networks::UserNetworks;
use seen::Seen;
use serde::Deserialize;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

/// Which network new pods are in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// CNI, once there is or ever was a configuration that can be used; else the built-in one.
    #[default]
    Auto,
    /// CNI.
    Cni,
    /// The built-in one.
    Builtin,
}

/// The networks of a node.
#[derive(Debug)]
pub struct Networks {
    /// The built-in network.
    pub builtin: Network,
    /// The network of a CNI configuration, and the attachments of pods to it.
    pub cni: CniNetwork,
    /// The networks that people made.
    pub people: UserNetworks,
    /// Answers the names of pods in those.
    pub names: NameKeeper,
    mode: Mode,
    seen: Seen,
    /// Why agents cannot see the pods' network namespaces, if that is so.
    hidden: Option<String>,
}

/// The two networks of which a pod is in one when nobody asks for others.
#[derive(Debug)]
pub struct Default {
    /// The built-in one.
    pub builtin: Network,
    /// That of a CNI configuration.
    pub cni: CniNetwork,
    /// Which of them.
    pub mode: Mode,
    /// The path of a file that survives a reboot.
    pub seen: PathBuf,
}

/// Where a new pod is to be.
#[derive(Debug, Clone)]
pub enum Choice {
    /// In the built-in network.
    Builtin,
    /// In this one.
    Cni(Arc<Chosen>),
}

impl Networks {
    /// Puts the networks together.
    pub fn new(default: Default, people: UserNetworks, names: NameKeeper) -> Self {
        let Default { builtin, cni, mode, seen } = default;
        Self { builtin, cni, people, names, mode, seen: Seen::open(seen), hidden: netns::hidden() }
    }

    /// Chooses for a new pod.
    ///
    /// # Errors
    /// `Unavailable` when it is to be in a CNI network and there is none.
    pub fn choose(&self) -> Result<Choice> {
        if !self.uses_cni()? {
            return Ok(Choice::Builtin);
        }
        self.cni.current().map(Choice::Cni).map_err(|why| Error::new(Kind::Unavailable, why))
    }

    /// Whether new pods are in the CNI network. In `auto`, the first configuration is recorded before anything follows from
    /// it.
    fn uses_cni(&self) -> Result<bool> {
        match self.mode {
            Mode::Cni => Ok(true),
            Mode::Builtin => Ok(false),
            Mode::Auto if self.seen.is_set() => Ok(true),
            Mode::Auto if self.cni.is_configured() => self.seen.set().map(|()| true),
            Mode::Auto => Ok(false),
        }
    }

    /// Keeps the name server, follows the CNI network, and pays what is owed to it once `settled` says that no process of those pods is left; until it
    /// is aborted.
    pub async fn tend(&self, places: &Places, settled: impl Future<Output = ()>) {
        let watch = async {
            match self.mode {
                Mode::Builtin => std::future::pending().await,
                Mode::Auto | Mode::Cni => self.cni.watch(|| disk::blocking(|| netns::all(places))).await,
            }
        };
        let pay = async {
            settled.await;
            self.cni.settle().await;
        };
        tokio::join!(watch, pay, self.names.tend());
    }

    /// Passes kubelet's pod CIDR on to the built-in network, if that is where new pods are. A CNI network has its own ways to
    /// learn it.
    ///
    /// # Errors
    /// `InvalidArgument` when it is none.
    pub async fn set_pod_cidr(&self, cidr: &str) -> Result<()> {
        if self.uses_cni()? {
            tracing::debug!(cidr, "kubelet sent a pod CIDR, which the CNI network does not take from here");
            return Ok(());
        }
        let outcome = self.builtin.set_pod_cidr(cidr).await?;
        tracing::info!(cidr, ?outcome, "kubelet sent a pod CIDR");
        Ok(())
    }

    /// Which network new pods are in, and why, for people.
    pub fn choice_in_words(&self) -> String {
        match (self.mode, self.uses_cni()) {
            (Mode::Builtin, _) => "builtin: network.mode says so".to_owned(),
            (Mode::Cni, _) => "cni: network.mode says so".to_owned(),
            (Mode::Auto, Ok(false)) => "builtin: there is no CNI configuration, and never was".to_owned(),
            (Mode::Auto, _) if self.cni.is_configured() => "cni: there is a CNI configuration".to_owned(),
            (Mode::Auto, _) => {
                format!(
                    "cni: there was a CNI configuration (to forget it, stop goraed and remove {})",
                    self.seen.path().display()
                )
            }
        }
    }

    /// Whether pods can be created.
    ///
    /// # Errors
    /// Reason and message of the condition `NetworkReady`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn status(&self) -> std::result::Result<(), Reason> {
        match self.uses_cni() {
            Ok(false) => self.builtin.status(),
            Ok(true) => self.cni.status().map_err(|message| Reason { reason: "NetworkPluginNotReady", message }),
            Err(error) => Err(Reason { reason: "NetworkPluginNotReady", message: error.to_string() }),
        }
    }

    /// What is wrong although pods can be created.
    pub fn degraded(&self) -> Option<Reason> {
        let people = || self.people.degraded().map(|message| Reason { reason: "UserNetworksFailing", message });
        self.default_degraded().or_else(people)
    }

    fn default_degraded(&self) -> Option<Reason> {
        match self.uses_cni() {
            Ok(true) => {
                let failing = self.cni.degraded().map(|message| Reason { reason: "NetworkPluginFailing", message });
                let hidden = self.hidden.clone().map(|message| Reason { reason: "NetworkNamespacesHidden", message });
                // Host ports are the built-in network's part all the same.
                failing.or(hidden).or_else(|| self.builtin.degraded())
            }
            _ if self.mode == Mode::Builtin => self.builtin.degraded(),
            _ => {
                let unused = |why| format!("{why}; pods are in the built-in network until it is mended");
                let broken = self.cni.broken().map(unused);
                let broken = broken.map(|message| Reason { reason: "NetworkPluginFailing", message });
                self.builtin.degraded().or(broken)
            }
        }
    }
}
