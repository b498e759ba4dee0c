// SPDX-License-Identifier: Apache-2.0
//! DEL: owed first, then tried, and forgotten once it has succeeded.

use crate::attachments::{All, Attachments, Entry, now};
use crate::debt::KEEP_NETNS;
use crate::error::{Error, Result};
use crate::netns;
use gorae_cni::chain::{self, Caller};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long the client's request waits for the plugins.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long after the daemon's start new pods wait for what is owed since before a reboot.
const FIRST_TRIES: Duration = Duration::from_secs(60);

/// What became of an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// There is none any more.
    Done,
    /// Its DEL is owed; it is tried again in the background.
    Owed,
}

impl Attachments {
    /// Undoes the attachment of a pod, or records that this is owed.
    ///
    /// A failure is an error once, so that the client tells somebody; the next call says [`Removal::Owed`], so that the
    /// pod can end nevertheless.
    ///
    /// # Errors
    /// That of the plugin that failed; [`Error::Slow`] when they are still at it.
    pub async fn remove(&self, pod_id: &str) -> Result<Removal> {
        let Some(entry) = self.all.entry(pod_id) else { return Ok(Removal::Done) };
        self.all.owe(pod_id).await;
        if self.was_told(pod_id) {
            return Ok(Removal::Owed);
        }
        // It goes on when this caller does not wait for it any longer.
        let all = self.all.clone();
        let id = pod_id.to_owned();
        let trying = tokio::spawn(async move { all.try_delete(&id).await });
        let tried = tokio::time::timeout(PATIENCE, trying).await;
        let failed = match tried {
            Ok(Ok(Ok(()))) => return Ok(Removal::Done),
            Ok(Ok(Err(error))) => error,
            Ok(Err(_)) | Err(_) => Error::Slow { network: entry.record.network, seconds: PATIENCE.as_secs() },
        };
        self.tell(pod_id);
        Err(failed)
    }

    fn was_told(&self, pod_id: &str) -> bool {
        self.all.entries().get(pod_id).and_then(|entry| entry.debt.as_ref()).is_some_and(|debt| debt.told)
    }

    pub(crate) fn tell(&self, pod_id: &str) {
        if let Some(debt) = self.all.entries().get_mut(pod_id).and_then(|entry| entry.debt.as_mut()) {
            debt.told = true;
        }
        self.all.wake.notify_one();
    }
}

impl All {
    /// One try. When it fails, the debt knows why and when the next one is due.
    ///
    /// # Errors
    /// The first plugin's, or the record's.
    pub async fn try_delete(self: &Arc<Self>, pod_id: &str) -> Result<()> {
        let Some(entry) = self.entry(pod_id) else { return Ok(()) };
        let _busy = entry.busy.lock().await;
        // Somebody else may have done it meanwhile; the record may have got its result.
        let Some(entry) = self.entry(pod_id) else { return Ok(()) };
        let tried = self.delete(&entry).await;
        self.note(pod_id, &tried);
        tried
    }

    fn note(&self, pod_id: &str, tried: &Result<()>) {
        let mut entries = self.entries();
        match (tried, entries.get_mut(pod_id).and_then(|entry| entry.debt.as_mut())) {
            (Ok(()), _) => drop(entries.remove(pod_id)),
            (Err(error), Some(debt)) => debt.failed(error.to_string()),
            (Err(_), None) => {}
        }
        self.tried.send_replace(());
        self.wake.notify_one();
    }

    /// Waits until every DEL on a network that is owed since before the node started was tried: the addresses of those pods
    /// are still taken. A minute after the start nobody waits for that any more.
    pub async fn earlier_boots_are_tried(&self, network: &str) {
        let mut tried = self.tried.subscribe();
        let is_untried = |entry: &Entry| {
            let debt = entry.debt.as_ref();
            entry.record.network == network
                && entry.record.boot_id != self.boot_id
                && debt.is_some_and(|debt| debt.tried.is_none())
        };
        let wait = async {
            while self.entries().values().any(is_untried) {
                // The sender is ours, so it lives.
                let _ = tried.changed().await;
            }
        };
        let _ = tokio::time::timeout(FIRST_TRIES.saturating_sub(self.opened.elapsed()), wait).await;
    }

    async fn delete(&self, entry: &Entry) -> Result<()> {
        let record = &entry.record;
        let path = Path::new(&record.netns);
        if record.owed_since != 0 && now().saturating_sub(record.owed_since) > KEEP_NETNS.as_secs() {
            self.forget_netns(path);
        }
        let netns = if record.boot_id == self.boot_id && netns::is_there(path) { record.netns.as_str() } else { "" };
        // It was readable when the record was.
        let list = record.list().map_err(|why| gorae_cni::Error::Argument(why.to_string()))?;
        {
            let _gate = self.gate.read().await;
            let runner = self.runner(&record.pod_id);
            let caller = Caller { run: &runner, directories: &record.directories };
            chain::delete(&caller, &list, &record.subject(netns), record.result.as_ref()).await?;
        }
        self.forget_netns(path);
        self.store.remove(&record.pod_id).await
    }

    fn forget_netns(&self, path: &Path) {
        if let Err(error) = netns::remove(path) {
            tracing::warn!(netns = %path.display(), %error, "cannot remove the file of a network namespace");
        }
    }
}
