// SPDX-License-Identifier: Apache-2.0
//! The two values that the keeper compares: what is wanted of the name server, and what is so.

use super::host::HostResolver;
use super::table::Table;
use crate::error::Error;
use crate::ids::PodId;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

/// What is wanted.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Whether the pods of an earlier daemon are among these: only then is the rest of what it left to be removed.
    pub(super) is_whole: bool,
    /// `None`: nobody has said yet, and a name server that runs keeps what it has.
    pub(super) table: Option<Arc<Table>>,
    /// Counts up with each other table.
    pub(super) version: u64,
    /// `None`: not read yet.
    pub(super) host: Option<HostResolver>,
    pub(super) pods: BTreeMap<PodId, WantedPod>,
    attempts: u64,
}

/// A pod that is to be answered.
#[derive(Debug, Clone)]
pub(super) struct WantedPod {
    /// Its network namespace.
    pub(super) netns: PathBuf,
    /// The number of the request for it; a later one has a higher one.
    pub(super) attempt: u64,
}

/// What is so.
#[derive(Debug, Default)]
pub(super) struct Actual {
    /// Whether a name server is connected.
    pub(super) is_up: bool,
    /// The version of the table that it has.
    pub(super) told: u64,
    /// By id, as the name server has it.
    pub(super) pods: HashMap<String, Pod>,
}

/// How far a pod is.
#[derive(Debug)]
pub(super) enum Pod {
    /// Its sockets are being opened.
    Opening,
    /// It is answered.
    Served,
    /// It could not be, when this request was the last one.
    Failed { attempt: u64, error: Error },
}

impl Pod {
    /// Whether this is the end of what a request waits for.
    pub(super) fn ends(&self, request: u64) -> bool {
        match self {
            Self::Opening => false,
            Self::Served => true,
            Self::Failed { attempt, .. } => *attempt >= request,
        }
    }

    /// Whether it has sockets, or may have.
    pub(super) fn has_sockets(&self) -> bool {
        !matches!(self, Self::Failed { .. })
    }
}

impl Wanted {
    /// Adds a pod, and returns the number of the request.
    pub(super) fn add(&mut self, pod: &PodId, netns: PathBuf) -> u64 {
        self.attempts += 1;
        self.pods.insert(pod.clone(), WantedPod { netns, attempt: self.attempts });
        self.attempts
    }
}
