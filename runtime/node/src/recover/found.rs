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
        self.pods.iter().any(|(record, up)| up.is_some() && record.id.as_str() == pod_id)
    }

    /// The pods that still have their addresses and ports.
    pub fn live_pods(&self) -> Vec<LivePod> {
        let of = |record: &pod::Record| LivePod {
            pod_id: record.id.to_string(),
            ips: record.network.given_out().to_vec(),
            port_mappings: record.config.port_mappings.clone(),
            from_pool: matches!(record.network, pod::Network::Builtin { .. }),
            ..LivePod::default()
        };
        // A pod that is being stopped keeps its address until that is done.
        let there = self.pods.iter().map(|(record, _)| record).filter(|record| self.present.contains(&record.id));
        there.map(of).chain(self.half_made.iter().map(of)).filter(|p| !p.ips.is_empty()).collect()
    }
}
