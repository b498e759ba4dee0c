// SPDX-License-Identifier: Apache-2.0
//! Pays the debts in the background.

use crate::attachments::{All, Attachments, now};
use crate::debt::PROBE;
use crate::error::Error;
use crate::record::Record;
use futures_util::StreamExt;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// DELs at the same time.
const PARALLEL: usize = 8;
/// How long a DEL is owed to a network that is neither configured nor installed.
const FORGET: Duration = Duration::from_secs(24 * 3600);

impl Attachments {
    /// Tries what is owed, each when it is due, until it is aborted. When one of a network succeeds, the others of that
    /// network are due at once. What is owed to a network that was uninstalled, as far as `is_configured` and the plugins'
    /// directories say, is forgotten after a day.
    pub async fn settle(&self, is_configured: impl Fn(&str) -> bool) {
        loop {
            let (due, next) = self.all.due();
            if due.is_empty() {
                let wait = next.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
                tokio::select! {
                    () = self.all.wake.notified() => {}
                    () = tokio::time::sleep(wait) => {}
                }
                continue;
            }
            let tries = due.into_iter().map(|pod_id| try_one(self.all.clone(), pod_id, &is_configured));
            let paid: Vec<String> = futures_util::stream::iter(tries)
                .buffer_unordered(PARALLEL)
                .filter_map(async |paid| paid)
                .collect()
                .await;
            self.hasten(&paid.into_iter().collect());
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

/// Returns the network if it went well.
async fn try_one(all: Arc<All>, pod_id: String, is_configured: impl Fn(&str) -> bool) -> Option<String> {
    let Record { network, owed_since, .. } = all.entry(&pod_id)?.record;
    match all.try_delete(&pod_id).await {
        Ok(()) => {
            tracing::info!(pod_id, network, "the pod's network is undone, which was owed");
            Some(network)
        }
        Err(Error::Network(gorae_cni::Error::NotFound { kind, .. }))
            if now().saturating_sub(owed_since) > FORGET.as_secs() && !is_configured(&network) =>
        {
            tracing::warn!(
                pod_id,
                network,
                kind,
                "the network was uninstalled a day ago; its part of the pod is forgotten"
            );
            all.forget(&pod_id).await;
            None
        }
        Err(error) => {
            tracing::warn!(pod_id, network, %error, "cannot undo the pod's network; trying again later");
            None
        }
    }
}

impl All {
    /// Gives a debt up.
    async fn forget(&self, pod_id: &str) {
        match self.store.remove(pod_id).await {
            Ok(()) => drop(self.entries().remove(pod_id)),
            Err(error) => tracing::warn!(pod_id, %error, "cannot forget the pod's attachment"),
        }
    }

    /// The pods whose debts are due, and when the next one is. Of each network, the debt that was tried longest ago is due
    /// every few seconds.
    fn due(&self) -> (Vec<String>, Option<Instant>) {
        let now = Instant::now();
        let entries = self.entries();
        let owed = || entries.iter().filter_map(|(id, entry)| Some((id, &entry.record.network, entry.debt.as_ref()?)));
        let mut probes: HashMap<&str, (&str, Option<Instant>)> = HashMap::new();
        let mut latest: HashMap<&str, Instant> = HashMap::new();
        for (id, network, debt) in owed() {
            let probe = probes.entry(network).or_insert((id, debt.tried));
            if debt.tried < probe.1 {
                *probe = (id, debt.tried);
            }
            if let Some(tried) = debt.tried {
                let last = latest.entry(network).or_insert(tried);
                *last = tried.max(*last);
            }
        }
        let probe_at = |network: &str| latest.get(network).map_or(now, |last| *last + PROBE);
        let mut next = None;
        let mut due = Vec::new();
        for (id, network, debt) in owed() {
            let is_probe = probes.get(network.as_str()).is_some_and(|(probe, _)| probe == id);
            let at = if is_probe { debt.due.min(probe_at(network)) } else { debt.due };
            if at <= now {
                due.push(id.clone());
            }
            next = Some(next.map_or(at, |next: Instant| next.min(at)));
        }
        (due, next)
    }
}
