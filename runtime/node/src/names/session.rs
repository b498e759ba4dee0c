// SPDX-License-Identifier: Apache-2.0
//! The connection to one name server, until that ends or nobody needs it.
//!
//! After each event it settles what differs from what is wanted (`settle.rs`).

use super::backoff::Backoff;
use super::host::HostResolver;
use super::open::Failed;
use super::record::Record;
use super::shared::Shared;
use super::wanted::{Pod, Wanted};
use crate::error::Error;
use crate::ids::{self, PodId};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use gorae_shims::{self as shims, Names, NamesEnd};
use std::collections::HashMap;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};

/// One connection.
pub(super) struct Session<'s> {
    pub(super) shared: &'s Shared,
    pub(super) names: Names,
    end: NamesEnd,
    pub(super) wanted: Receiver<Wanted>,
    /// The version of the table, and the host's settings, that it was told last.
    pub(super) told: Option<(u64, HostResolver)>,
    pub(super) opening: FuturesUnordered<BoxFuture<'s, Opened>>,
    /// When the pods that failed are tried again.
    pub(super) later: HashMap<PodId, (Instant, Backoff)>,
}

/// The end of a try to open a pod's sockets.
pub(super) struct Opened {
    pub(super) pod: PodId,
    pub(super) attempt: u64,
    pub(super) result: Result<(), Failed>,
}

/// Why a session ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// No pod is wanted, and none is answered.
    NobodyLeft,
    /// The name server was killed, or has ended.
    Gone,
    /// It does not answer, or it answers what cannot be understood.
    Failed(shims::Error),
}

impl<'s> Session<'s> {
    /// Begins one, with the pods that the name server has.
    ///
    /// # Errors
    /// The name server does not answer.
    pub(super) async fn on(shared: &'s Shared, names: Names, end: NamesEnd) -> shims::Result<Self> {
        let served = served(shared, &names).await.inspect_err(|_| names.leave())?;
        shared.now(|actual| {
            actual.is_up = true;
            actual.told = 0;
            actual.pods = served.into_iter().map(|pod| (pod, Pod::Served)).collect();
        });
        let (opening, later) = (FuturesUnordered::new(), HashMap::new());
        Ok(Self { shared, names, end, wanted: shared.wanted(), told: None, opening, later })
    }

    /// Keeps the name server as it is wanted.
    pub(super) async fn run(mut self) -> Ending {
        let ending = self.work().await;
        self.names.leave();
        ending
    }

    async fn work(&mut self) -> Ending {
        loop {
            let now = Instant::now();
            match self.settle(now).await {
                Ok(()) if self.is_alone() => return Ending::NobodyLeft,
                Ok(()) => {}
                Err(shims::Error::Gone(_)) => return Ending::Gone,
                Err(error) => return Ending::Failed(error),
            }
            // Whose time has come by then has its sockets opened, or waits until those of others are.
            let again = self.later.values().map(|(at, _)| *at).filter(|at| *at > now).min();
            let opened = tokio::select! {
                biased;
                () = self.end.gone() => return Ending::Gone,
                Some(opened) = self.opening.next() => Some(opened),
                Ok(()) = self.wanted.changed() => None,
                () = async { sleep_until(again.unwrap_or_else(Instant::now)).await }, if again.is_some() => None,
            };
            match opened {
                // It has ended in the meantime: the next one opens the sockets again.
                Some(Opened { result: Err(Failed::NameServerGone), .. }) => return Ending::Gone,
                Some(Opened { result: Err(Failed::Other(error)), pod, attempt }) => {
                    self.note_failure(pod, attempt, error)
                }
                Some(Opened { result: Ok(()), pod, .. }) => self.note_success(&pod),
                None => {}
            }
        }
    }

    fn note_success(&mut self, pod: &PodId) {
        self.later.remove(pod);
        self.shared.now(|actual| drop(actual.pods.insert(pod.to_string(), Pod::Served)));
    }

    fn note_failure(&mut self, pod: PodId, attempt: u64, error: Error) {
        let (at, backoff) = self.later.entry(pod.clone()).or_insert((Instant::now(), Backoff::default()));
        let pause = backoff.pause();
        *at = Instant::now() + pause;
        tracing::warn!(pod = ids::short(&pod), %error, ?pause, "the names of a pod are not answered; trying again");
        self.shared.now(|actual| drop(actual.pods.insert(pod.to_string(), Pod::Failed { attempt, error })));
    }

    fn is_alone(&self) -> bool {
        self.wanted.borrow().pods.is_empty() && self.shared.actual().borrow().pods.is_empty()
    }
}

/// The pods that the name server answers. Those of which it may have other sockets than the pod's port 53 leads to are taken
/// from it, and get new ones if they are still wanted.
async fn served(shared: &Shared, names: &Names) -> shims::Result<Vec<String>> {
    let mut served = Vec::new();
    for client in names.count().await?.clients {
        if Record::of(&shared.places, &client.container_id).handed_over {
            served.push(client.container_id);
        } else {
            names.remove(&client.container_id).await?;
        }
    }
    Ok(served)
}
