// SPDX-License-Identifier: Apache-2.0
//! Pays the debts in the background.

use crate::attachments::{All, Attachments, Entry, now};
use crate::due::{self, Candidate, UnderWay};
use crate::error::Error;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long nobody looks when nothing is owed; a new debt rings.
const IDLE: Duration = Duration::from_secs(3600);
/// How long a DEL is owed to a network that is neither configured nor installed.
const FORGET: Duration = Duration::from_secs(24 * 3600);

impl Attachments {
    /// Tries what is owed, each when it is due, until it is aborted. When one of a network succeeds, the others of that
    /// network are due at once. What is owed to a network that was uninstalled, as far as `is_configured` and the plugins'
    /// directories say, is forgotten after a day.
    pub async fn settle(&self, is_configured: impl Fn(&str) -> bool) {
        let mut tries = FuturesUnordered::new();
        let mut running = HashSet::new();
        loop {
            let (due, next) = due::due(&self.all.candidates(&running, &is_configured), Instant::now());
            for pod_id in due {
                running.insert(pod_id.clone());
                tries.push(try_one(self.all.clone(), pod_id, &is_configured));
            }
            let wait = next.map_or(IDLE, |at| at.saturating_duration_since(Instant::now()));
            tokio::select! {
                Some((pod_id, paid)) = tries.next() => {
                    running.remove(&pod_id);
                    self.hasten(&paid.into_iter().collect());
                }
                () = self.all.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Makes every debt of these networks due: something says that they are well again.
    pub fn hasten(&self, networks: &HashSet<String>) {
        if networks.is_empty() {
            return;
        }
        let mut entries = self.all.entries();
        for entry in entries.values_mut().filter(|entry| networks.contains(&entry.record.network)) {
            if let Some(debt) = &mut entry.debt {
                debt.due = Instant::now();
            }
        }
        self.all.wake.notify_one();
    }
}

/// Returns the pod, and the network if it went well.
async fn try_one(all: Arc<All>, pod_id: String, is_configured: impl Fn(&str) -> bool) -> (String, Option<String>) {
    let Some(Entry { record, debt, .. }) = all.entry(&pod_id) else { return (pod_id, None) };
    let network = record.network;
    match all.try_delete(&pod_id).await {
        Ok(()) => {
            tracing::info!(pod_id, network, "the pod's network is undone, which was owed");
            return (pod_id, Some(network));
        }
        Err(Error::Network(gorae_cni::Error::NotFound { kind, .. }))
            if now().saturating_sub(record.owed_since) > FORGET.as_secs() && !is_configured(&network) =>
        {
            tracing::warn!(
                pod_id,
                network,
                kind,
                "the network was uninstalled a day ago; its part of the pod is forgotten"
            );
            all.forget(&pod_id).await;
        }
        Err(error) if debt.is_some_and(|debt| debt.failed > 0 && debt.why == error.to_string()) => {
            tracing::debug!(pod_id, network, %error, "still cannot undo the pod's network");
        }
        Err(error) => tracing::warn!(pod_id, network, %error, "cannot undo the pod's network; trying again later"),
    }
    (pod_id, None)
}

impl All {
    /// Gives a debt up.
    async fn forget(&self, pod_id: &str) {
        match self.store.remove(pod_id).await {
            Ok(()) => drop(self.entries().remove(pod_id)),
            Err(error) => tracing::warn!(pod_id, %error, "cannot forget the pod's attachment"),
        }
    }

    /// The debts, for the choice among them; `running` are the pods whose debts are tried now.
    fn candidates(&self, running: &HashSet<String>, is_configured: impl Fn(&str) -> bool) -> Vec<Candidate> {
        let entries = self.entries();
        let of = |(pod_id, entry): (&String, &Entry)| {
            let debt = entry.debt.as_ref()?;
            let under_way = match () {
                () if running.contains(pod_id) => UnderWay::Try,
                () if entry.busy.try_lock().is_err() => UnderWay::Other,
                () => UnderWay::Nothing,
            };
            let (pod_id, network) = (pod_id.clone(), entry.record.network.clone());
            let is_configured = is_configured(&network);
            Some(Candidate { pod_id, network, is_configured, due: debt.due, tried: debt.tried, under_way })
        };
        entries.iter().filter_map(of).collect()
    }
}
