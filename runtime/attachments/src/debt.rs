// SPDX-License-Identifier: Apache-2.0
//! A DEL that is owed.

use crate::backoff;
use crate::record::Record;
use std::time::{Duration, Instant};

/// How long a pod's namespace is kept for a DEL that is owed: some plugins give devices back only from there.
pub const KEEP_NETNS: Duration = Duration::from_secs(600);

/// What is known of a DEL that is owed.
#[derive(Debug, Clone)]
pub struct Debt {
    /// Tries that failed, in this life of the daemon.
    pub failed: u32,
    /// When it is tried next.
    pub due: Instant,
    /// When it was tried last.
    pub tried: Option<Instant>,
    /// Why it failed last.
    pub why: String,
    /// Whether a client has been told; it is told once.
    pub told: bool,
}

impl Debt {
    /// One that is due at once.
    pub fn new() -> Self {
        Self { failed: 0, due: Instant::now(), tried: None, why: "it was not tried yet".to_owned(), told: false }
    }

    /// Notes a failure.
    pub fn failed(&mut self, why: String) {
        self.failed += 1;
        self.why = why;
        self.tried = Some(Instant::now());
        self.due = Instant::now() + backoff::pause(self.failed);
    }
}

/// A debt, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// The pod's id.
    pub pod_id: String,
    /// Namespace and name of the pod.
    pub pod_name: String,
    /// Name of the network.
    pub network: String,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// Tries that failed since the daemon started.
    pub failed: u32,
    /// Why the last one did.
    pub why: String,
}

impl Owed {
    pub(crate) fn of(record: &Record, debt: &Debt) -> Self {
        Self {
            pod_id: record.pod_id.clone(),
            pod_name: record.pod_name.clone(),
            network: record.network.clone(),
            since: record.owed_since,
            failed: debt.failed,
            why: debt.why.clone(),
        }
    }
}
