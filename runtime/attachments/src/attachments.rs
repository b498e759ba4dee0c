// SPDX-License-Identifier: Apache-2.0
//! The attachments that are known, and what any of their verbs needs.

use crate::debt::{Debt, Owed};
use crate::error::{Error, Result};
use crate::record::{Phase, Record};
use crate::runner::Runner;
use crate::store::{Store, Stored};
use gorae_shims::Spawner;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Mutex as AsyncMutex, Notify, RwLock, watch};

/// The attachments of a node. Clones are handles to the same ones.
#[derive(Debug, Clone)]
pub struct Attachments {
    pub(crate) all: Arc<All>,
}

#[derive(Debug)]
pub(crate) struct All {
    pub store: Store,
    pub spawner: Spawner,
    pub boot_id: String,
    entries: Mutex<HashMap<String, Entry>>,
    /// Not all attachments are known: a record is damaged.
    pub is_damaged: bool,
    /// Held for reading by ADD and DEL, for writing by GC.
    pub gate: RwLock<()>,
    /// Rings when a debt is new, or due earlier.
    pub wake: Notify,
    /// When the daemon started.
    pub opened: Instant,
    /// Changes after each try of a DEL.
    pub tried: watch::Sender<()>,
}

/// One attachment, in memory.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub record: Record,
    pub debt: Option<Debt>,
    /// Held while plugins work for it, or for another attempt of the same pod: plugins that know pods by their names would
    /// take one for the other.
    pub busy: Arc<AsyncMutex<()>>,
}

impl Attachments {
    /// Reads the records. A damaged one is logged and left where it is: nobody can undo what it is about.
    ///
    /// # Errors
    /// A record that cannot be read now, which means nothing for its content; one that another program wrote.
    pub async fn open(root: PathBuf, spawner: Spawner, boot_id: String) -> Result<Self> {
        let store = Store::open(root)?;
        let mut entries = HashMap::new();
        let mut is_damaged = false;
        for pod_id in store.pods()? {
            match store.read(&pod_id)? {
                Stored::Record(record) => {
                    let entry = Entry::new(*record, &entries);
                    entries.insert(pod_id, entry);
                }
                // The record is written right after its directory: no plugin was ever called.
                Stored::Nothing => store.remove(&pod_id).await?,
                Stored::Foreign(why) => return Err(Error::Foreign { path: store.directory(&pod_id), why }),
                Stored::Damaged(why) => {
                    is_damaged = true;
                    let directory = store.directory(&pod_id);
                    tracing::error!(pod_id, directory = %directory.display(), why, "the record of an attachment is damaged");
                }
            }
        }
        let entries = Mutex::new(entries);
        let (gate, wake, tried) = (RwLock::default(), Notify::new(), watch::Sender::default());
        let opened = Instant::now();
        Ok(Self { all: Arc::new(All { store, spawner, boot_id, entries, is_damaged, gate, wake, opened, tried }) })
    }

    /// Owes the DEL of every attachment whose pod does not live, for a start of the daemon. Nobody waits for them.
    pub async fn owe_unless(&self, lives: impl Fn(&str) -> bool) {
        let pods: Vec<String> = self.all.entries().keys().filter(|id| !lives(id)).cloned().collect();
        for pod_id in pods {
            self.owe(&pod_id).await;
        }
    }

    /// Owes the DEL of a pod's attachment, for a stop that nobody waits for: it is paid in the background.
    pub async fn owe(&self, pod_id: &str) {
        self.all.owe(pod_id).await;
        self.tell(pod_id);
    }

    /// Whether the pod has an attachment, whatever its state.
    pub fn has(&self, pod_id: &str) -> bool {
        self.all.entries().contains_key(pod_id)
    }

    /// The attachment of a pod.
    pub fn get(&self, pod_id: &str) -> Option<Record> {
        self.all.entries().get(pod_id).map(|entry| entry.record.clone())
    }

    /// The DELs that are owed, the oldest first.
    pub fn owed(&self) -> Vec<Owed> {
        let entries = self.all.entries();
        let mut owed: Vec<_> =
            entries.values().filter_map(|entry| Some(Owed::of(&entry.record, entry.debt.as_ref()?))).collect();
        owed.sort_by(|a, b| (a.since, &a.pod_id).cmp(&(b.since, &b.pod_id)));
        owed
    }
}

impl Entry {
    /// One beside those that are there.
    pub fn new(record: Record, others: &HashMap<String, Self>) -> Self {
        let debt = (record.phase == Phase::Deleting).then(Debt::new);
        let busy = others.values().find(|other| other.record.pod_name == record.pod_name);
        Self { debt, busy: busy.map(|other| other.busy.clone()).unwrap_or_default(), record }
    }
}

impl All {
    /// Locks the entries. Nothing blocks under this lock.
    pub fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of a pod.
    pub fn entry(&self, pod_id: &str) -> Option<Entry> {
        self.entries().get(pod_id).cloned()
    }

    /// Records that the attachment is to be undone. It can be repeated. If the disk is full, the DEL is owed all the same, and
    /// the next daemon sees that the pod is not up.
    pub async fn owe(&self, pod_id: &str) {
        let record = {
            let mut entries = self.entries();
            let Some(entry) = entries.get_mut(pod_id) else { return };
            entry.debt.get_or_insert_with(Debt::new);
            if entry.record.phase == Phase::Deleting {
                return;
            }
            entry.record.phase = Phase::Deleting;
            entry.record.owed_since = now();
            entry.record.clone()
        };
        if let Err(error) = self.store.write(&record).await {
            tracing::warn!(pod_id, %error, "cannot record that the pod's attachment is to be undone");
        }
    }

    /// A runner of plugins for a pod.
    pub fn runner(&self, pod_id: &str) -> Runner {
        Runner::new(self.spawner.clone(), pod_id, Some(self.store.directory(pod_id)))
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
