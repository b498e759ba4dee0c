// SPDX-License-Identifier: Apache-2.0
//! Makes a name server what it is wanted to be: names first, so that nobody is answered before they are known, then pods
//! that have to go, then pods that lack their sockets. It waits for the name server only, which never waits itself; sockets
//! are opened beside it, several at a time.

use super::open::open;
use super::session::{Opened, Session};
use super::wanted::Pod;
use gorae_shims as shims;
use tokio::time::Instant;

/// How many pods get their sockets at a time. Each costs two short processes.
const AT_ONCE: usize = 8;

impl Session<'_> {
    /// Settles what differs. Pods that failed are tried again if their time has come `now`.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) async fn settle(&mut self, now: Instant) -> shims::Result<()> {
        self.tell_names().await?;
        self.remove_the_unwanted().await?;
        // The servers of the host are known a moment after the first pod is wanted.
        if self.shared.knows_host() {
            self.open_the_missing(now);
        }
        Ok(())
    }

    /// Tells all names if there are others.
    async fn tell_names(&mut self) -> shims::Result<()> {
        let (version, host, message) = {
            let wanted = self.wanted.borrow_and_update();
            let (Some(table), Some(host)) = (&wanted.table, &wanted.host) else { return Ok(()) };
            if self.told.as_ref().is_some_and(|told| (told.0, &told.1) == (wanted.version, host)) {
                return Ok(());
            }
            (wanted.version, host.clone(), table.message(host))
        };
        match self.names.set(message).await {
            Err(error) if error.refused().is_some() || matches!(error, shims::Error::TooLarge(_)) => {
                tracing::error!(%error, "the name server does not take the names of user networks; it keeps those it has");
            }
            other => other?,
        }
        self.told = Some((version, host));
        self.shared.now(|actual| actual.told = version);
        Ok(())
    }

    async fn remove_the_unwanted(&mut self) -> shims::Result<()> {
        let unwanted: Vec<String> = {
            let (wanted, actual) = (self.wanted.borrow(), self.shared.actual());
            let actual = actual.borrow();
            let gone = actual
                .pods
                .iter()
                .filter(|(pod, state)| !wanted.pods.contains_key(pod.as_str()) && !matches!(state, Pod::Opening));
            gone.map(|(pod, _)| pod.clone()).collect()
        };
        for pod in unwanted {
            // It may have the sockets of one that failed, too: what came after they were handed over may be what failed.
            self.names.remove(&pod).await?;
            self.later.remove(pod.as_str());
            self.shared.now(|actual| drop(actual.pods.remove(&pod)));
        }
        Ok(())
    }

    fn open_the_missing(&mut self, now: Instant) {
        while self.opening.len() < AT_ONCE {
            let later = &self.later;
            let picked = self.shared.begin_opening(|id, wanted, state| match state {
                None => true,
                Some(Pod::Opening | Pod::Served) => false,
                Some(Pod::Failed { attempt, .. }) => {
                    *attempt < wanted.attempt || later.get(id).is_none_or(|(at, _)| *at <= now)
                }
            });
            let Some((pod, wanted)) = picked else { return };
            let (shared, names) = (self.shared, self.names.clone());
            self.opening.push(Box::pin(async move {
                let result = open(shared, &names, &pod, &wanted.netns).await;
                Opened { pod, attempt: wanted.attempt, result }
            }));
        }
    }
}
