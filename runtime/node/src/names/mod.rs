// SPDX-License-Identifier: Apache-2.0
//! Keeps the name server of pods in user networks: starts it, tells it all names, and has every pod answered that is to be.
//!
//! The name server is a process of its own, which outlives the daemon and its updates. It is started with the first pod in
//! a user network, and ends by itself a second after the last one: a node without such networks has no process for them.
//!
//! ```text
//! verbs ─ serve, forget, set ─▶ Wanted ─▶ keep.rs ─▶ session.rs ═ connection ═ gorae-shim serve-names
//!   ▲                             ▲          one server after the other │
//!   │        host.rs, follow.rs ──┘ resolv.conf of the host             │ open.rs: gorae-shim open-names, for each pod
//!   └───────────────────────────── Actual ◀─────────────────────────────┘
//! ```
//!
//! What is wanted and what is so are plain values that are watched. Only the session changes the second one, and makes it
//! like the first one again and again: after each change, after a failure, and with another server when one was killed.
//! So nothing is locked while something is waited for, and a verb that waits does so until it sees what it needs.

mod backoff;
mod follow;
mod host;
mod keep;
mod open;
mod record;
mod session;
mod settle;
mod shared;
mod table;
mod wanted;

pub(crate) use host::HostResolver;
pub use host::servers;
#[cfg(test)]
pub(crate) use record::Record;
pub use table::{MemberNames, NetworkNames, Table};

use crate::error::{Error, Result};
use crate::ids::{self, PodId};
use crate::places::Places;
use gorae_shims::{ANSWER_DEADLINE, Spawner};
use shared::Shared;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use wanted::Pod;

/// How long a pod may wait to be answered: longer than opening its sockets and starting the name server may take together.
const SERVE_DEADLINE: Duration = Duration::from_secs(30);

/// Keeps the name server. Clones share it.
#[derive(Debug, Clone)]
pub struct NameKeeper(Arc<Shared>);

impl NameKeeper {
    /// Makes a keeper that does nothing yet: [`Self::tend`] does the work, once [`Self::resume`] was called.
    pub fn new(spawner: Spawner, places: Places) -> Self {
        Self::following(spawner, places, host::RESOLV_CONF.into())
    }

    /// [`Self::new`] with another file than `/etc/resolv.conf`.
    pub fn following(spawner: Spawner, places: Places, resolv_conf: PathBuf) -> Self {
        Self(Arc::new(Shared::new(spawner, places, resolv_conf)))
    }

    /// Keeps the name server until it is aborted; the name server itself goes on then.
    ///
    /// - Cancel: safe. The next daemon finds the name server with its pods.
    pub async fn tend(&self) {
        tokio::join!(follow::follow(&self.0), keep::keep(&self.0));
    }

    /// Tells which pods were answered by an earlier daemon's order, with the paths of their network namespaces. Those that
    /// the name server of that daemon lacks are added, and what it has besides is removed. To be called once at the start,
    /// also if there are none.
    pub fn resume(&self, pods: Vec<(PodId, PathBuf)>) {
        self.0.resume(pods);
    }

    /// Has a pod answered, and waits until it is; one that is answered already stays so.
    ///
    /// - Shapes: `netns` is the absolute path of its network namespace, whose loopback interface is up.
    /// - Cancel: the pod is still wanted, as after a failure: it is tried again until [`Self::forget`].
    ///
    /// # Errors
    /// The shim's failure to open the sockets, or to start the name server; the kernel's for the record in the pod's run
    /// directory, which has to exist; `DeadlineExceeded` after 30 s.
    pub async fn serve(&self, pod: &PodId, netns: &Path) -> Result<()> {
        let mut actual = self.0.actual();
        let attempt = self.0.want(pod, netns);
        let outcome = actual.wait_for(|actual| actual.pods.get(&**pod).is_some_and(|state| state.ends(attempt)));
        let failed = match timeout(SERVE_DEADLINE, outcome).await {
            Ok(Ok(actual)) => match actual.pods.get(&**pod) {
                Some(Pod::Failed { error, .. }) => error.clone(),
                _ => return Ok(()),
            },
            Ok(Err(_)) => Error::internal("the keeper of the name server has ended; see the daemon's log"),
            Err(_) => Error::deadline(format!("not done within {SERVE_DEADLINE:?}; see the daemon's log")),
        };
        Err(failed.during(format!("have the names of pod {} answered", ids::short(pod))))
    }

    /// Has a pod not answered any more, and waits until its sockets are closed: they keep its network namespace alive. It
    /// waits for as long as the name server may take to answer, and the sockets are closed later if that was too short. A
    /// pod that is not answered is fine.
    ///
    /// - Cancel: the sockets are still closed.
    pub async fn forget(&self, pod: &PodId) {
        let mut actual = self.0.actual();
        self.0.unwant(pod);
        let closed = actual.wait_for(|actual| !actual.pods.get(&**pod).is_some_and(Pod::has_sockets));
        if timeout(ANSWER_DEADLINE, closed).await.is_err() {
            tracing::warn!(pod = ids::short(pod), "the name server still has the sockets of a pod; closing them later");
        }
    }

    /// Replaces all names by those that `table` makes, and waits until the name server has them, unless there is none. The names are given to each one
    /// that is started later. What is the same as before costs nothing, and of several changes only the last one is sent. Tables
    /// are made one at a time, so that an earlier one never replaces a later one.
    ///
    /// - Cancel: the names are still sent.
    pub async fn set(&self, table: impl FnOnce() -> Table) {
        let mut actual = self.0.actual();
        let version = self.0.set(table);
        let told = actual.wait_for(|actual| !actual.is_up || actual.told >= version);
        if timeout(ANSWER_DEADLINE, told).await.is_err() {
            tracing::warn!("the name server has not taken the latest names yet; trying again");
        }
    }
}
