// SPDX-License-Identifier: Apache-2.0
//! The objects of a node as found on disk.

use super::strays::Strays;
use super::unreadable::Damaged;
use crate::container;
use crate::ids::PodId;
use crate::pod::{self, Up};
use gorae_network::LivePod;
use std::collections::HashSet;
use std::path::PathBuf;

/// The records that the daemon's start has read.
#[derive(Debug, Default)]
pub struct Found {
    pub(super) pods: Vec<(pod::Record, Option<Up>)>,
    pub(super) half_made: Vec<pod::Record>,
    pub(super) containers: Vec<container::Record>,
    /// Pods with a run directory: their allocations may still be in use, ready or not.
    pub(super) present: HashSet<PodId>,
    pub(super) strays: Strays,
    /// Objects whose records are damaged.
    pub(super) damaged: Vec<Damaged>,
    /// Directories of objects for which nothing was made yet.
    pub(super) unbegun: Vec<PathBuf>,
}

impl Found {
    /// Whether the pod is up; what others have of networks is to be undone.
    pub fn is_up(&self, pod_id: &str) -> bool {
        let alive = |up: &Option<Up>| up.as_ref().is_some_and(pod::watch::is_alive);
        self.pods.iter().any(|(record, up)| record.id.as_str() == pod_id && alive(up))
    }

    /// The pods that may still be in networks that people made.
    pub fn in_networks(&self) -> HashSet<String> {
        let there = self.pods.iter().map(|(record, _)| record).filter(|record| self.present.contains(&record.id));
        there.chain(&self.half_made).map(|record| record.id.to_string()).collect()
    }

    /// The pods that still have addresses of the built-in network, or host ports.
    pub fn live_pods(&self) -> Vec<LivePod> {
        // A pod that is being stopped keeps its address until that is done.
        let there = self.pods.iter().filter(|(record, _)| self.present.contains(&record.id));
        let there = there.map(|(record, up)| live(record, up.as_ref()));
        there.chain(self.half_made.iter().map(|record| live(record, None))).flatten().collect()
    }
}

/// What the built-in network has to know of a pod.
fn live(record: &pod::Record, up: Option<&Up>) -> Option<LivePod> {
    let port_mappings = record.config.port_mappings.clone();
    let (ips, from_pool) = match &record.network {
        pod::Network::Host | pod::Network::Loopback | pod::Network::Of { .. } => return None,
        pod::Network::Builtin { addresses, .. } => (addresses.clone(), true),
        // The host ports of one that is being stopped are closed already, or are to be.
        pod::Network::Cni { .. } | pod::Network::People if port_mappings.is_empty() => return None,
        // Those of one that is in no network with a way in lead nowhere.
        pod::Network::People if up?.published().is_empty() => return None,
        pod::Network::Cni { .. } | pod::Network::People => (up?.published().to_vec(), false),
    };
    let mapper = record.network.mapper();
    Some(LivePod { pod_id: record.id.to_string(), ips, port_mappings, from_pool, mapper })
}
