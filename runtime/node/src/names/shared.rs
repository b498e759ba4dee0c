// SPDX-License-Identifier: Apache-2.0
//! What the verbs and the session share: [`Wanted`] and [`Actual`].
//!
//! Both are plain values behind a watch: a change is a few assignments, and whoever waits for something looks at each new
//! value. A pod that gets sockets is noted as such while what is wanted cannot change ([`Shared::begin_opening`]), so that
//! one that is not wanted any more either gets none or is seen to have them.

use super::host::HostResolver;
use super::table::Table;
use super::wanted::{Actual, Pod, Wanted, WantedPod};
use crate::ids::PodId;
use crate::places::Places;
use gorae_shims::Spawner;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch::{Receiver, Sender};

/// What both sides of the keeper share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) spawner: Spawner,
    pub(super) places: Places,
    /// The file that the host's settings are in.
    pub(super) resolv_conf: PathBuf,
    wanted: Sender<Wanted>,
    actual: Sender<Actual>,
    warned: AtomicBool,
    tables: Mutex<()>,
}

impl Shared {
    pub(super) fn new(spawner: Spawner, places: Places, resolv_conf: PathBuf) -> Self {
        let (wanted, actual) = (Sender::default(), Sender::default());
        Self { spawner, places, resolv_conf, wanted, actual, warned: AtomicBool::new(false), tables: Mutex::default() }
    }

    /// What is wanted, to look at and to wait for.
    pub(super) fn wanted(&self) -> Receiver<Wanted> {
        self.wanted.subscribe()
    }

    /// What is so, to look at and to wait for.
    pub(super) fn actual(&self) -> Receiver<Actual> {
        self.actual.subscribe()
    }

    pub(super) fn resume(&self, pods: Vec<(PodId, PathBuf)>) {
        self.wanted.send_modify(|wanted| {
            for (pod, netns) in pods {
                wanted.add(&pod, netns);
            }
            wanted.is_whole = true;
        });
    }

    /// Wants a pod, and returns the number of the request.
    pub(super) fn want(&self, pod: &PodId, netns: &Path) -> u64 {
        let mut attempt = 0;
        self.wanted.send_modify(|wanted| attempt = wanted.add(pod, netns.to_owned()));
        attempt
    }

    pub(super) fn unwant(&self, pod: &PodId) {
        self.wanted.send_if_modified(|wanted| wanted.pods.remove(pod).is_some());
    }

    /// Wants the names that `table` makes, and returns their version.
    pub(super) fn set(&self, table: impl FnOnce() -> Table) -> u64 {
        let _one_at_a_time = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let table = table();
        self.wanted.send_if_modified(|wanted| {
            let is_new = wanted.table.as_deref() != Some(&table);
            if is_new {
                wanted.table = Some(Arc::new(table));
                wanted.version += 1;
            }
            is_new
        });
        self.wanted.borrow().version
    }

    /// Whether the host's settings are known, or are taken to be none.
    pub(super) fn knows_host(&self) -> bool {
        self.wanted.borrow().host.is_some()
    }

    /// Returns whether the settings are other ones.
    pub(super) fn set_host(&self, host: HostResolver) -> bool {
        self.wanted.send_if_modified(|wanted| {
            let is_new = wanted.host.as_ref() != Some(&host);
            wanted.host = Some(host);
            is_new
        })
    }

    /// Changes what is so.
    pub(super) fn now(&self, change: impl FnOnce(&mut Actual)) {
        self.actual.send_modify(change);
    }

    /// Picks a pod that is wanted, and `may` be opened in its present state, and notes that its sockets are being opened.
    pub(super) fn begin_opening(
        &self,
        may: impl Fn(&PodId, &WantedPod, Option<&Pod>) -> bool,
    ) -> Option<(PodId, WantedPod)> {
        let wanted = self.wanted.borrow();
        let mut picked = None;
        self.actual.send_if_modified(|actual| {
            picked = wanted.pods.iter().find(|(id, pod)| may(id, pod, actual.pods.get(id.as_str())));
            if let Some((id, _)) = picked {
                actual.pods.insert(id.to_string(), Pod::Opening);
            }
            picked.is_some()
        });
        picked.map(|(id, pod)| (id.clone(), pod.clone()))
    }

    /// Warns of pods whose port 53 is taken, once: it is the same for all pods of a node.
    pub(super) fn warn_untranslated(&self, why: &str) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                why,
                "the name server of pods in user networks has port 53 of 127.0.0.11 itself: a name server in a pod cannot have \
                 port 53 of all addresses beside it; install nftables to change that for pods that start later"
            );
        }
    }
}
