// SPDX-License-Identifier: Apache-2.0
//! One name server after the other, for as long as there are pods to answer.

use super::backoff::Backoff;
use super::session::{Ending, Session};
use super::shared::Shared;
use super::wanted::{Actual, Pod};
use gorae_shims::{self as shims, Names};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A name server that lived for so long did not die of what it was told.
const STEADY: Duration = Duration::from_secs(10);

/// Keeps a name server until it is aborted.
pub(super) async fn keep(shared: &Shared) {
    let mut wanted = shared.wanted();
    if wanted.wait_for(|wanted| wanted.is_whole).await.is_err() {
        return;
    }
    let mut backoff = Backoff::default();
    // That of an earlier daemon may have pods that are gone, and none that are left.
    let mut session = find(shared).await;
    loop {
        if let Some(session) = session.take() {
            let since = Instant::now();
            let ending = session.run().await;
            shared.now(|actual| *actual = Actual::default());
            if since.elapsed() > STEADY {
                backoff = Backoff::default();
            }
            if !ending.is_expected() {
                sleep(backoff.pause()).await;
            }
        }
        if wanted.wait_for(|wanted| !wanted.pods.is_empty()).await.is_err() {
            return;
        }
        match begin(shared).await {
            Ok(begun) => session = Some(begun),
            Err(error) => {
                tracing::error!(%error, "pods in user networks have no name server; trying again");
                fail_all(shared, &error);
                sleep(backoff.pause()).await;
            }
        }
    }
}

async fn find(shared: &Shared) -> Option<Session<'_>> {
    let found = async {
        match Names::find(&shared.places.state).await? {
            Some((names, end)) => Session::on(shared, names, end).await.map(Some),
            None => Ok(None),
        }
    };
    found.await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the name server of an earlier daemon does not answer; trying again when it is needed");
        None
    })
}

async fn begin(shared: &Shared) -> shims::Result<Session<'_>> {
    match begin_once(shared).await {
        // One that had nobody left may end just when it is connected to.
        Err(shims::Error::Gone(_)) => begin_once(shared).await,
        other => other,
    }
}

async fn begin_once(shared: &Shared) -> shims::Result<Session<'_>> {
    let (names, end, _) = Names::begin(&shared.spawner, &shared.places.state).await?;
    Session::on(shared, names, end).await
}

/// Tells all who wait for a pod that there is no name server.
fn fail_all(shared: &Shared, error: &shims::Error) {
    let wanted = shared.wanted();
    let wanted = wanted.borrow();
    let failed = |attempt| Pod::Failed { attempt, error: error.clone().into() };
    let pods = wanted.pods.iter().map(|(id, pod)| (id.to_string(), failed(pod.attempt))).collect();
    shared.now(|actual| *actual = Actual { pods, ..Actual::default() });
}

impl Ending {
    /// Whether nothing is wrong. What is wrong is logged.
    fn is_expected(&self) -> bool {
        match self {
            Self::NobodyLeft => {}
            Self::Gone => tracing::warn!("the name server of pods in user networks has ended; starting another one"),
            Self::Failed(error) => {
                tracing::error!(%error, "the name server of pods in user networks fails; trying again")
            }
        }
        matches!(self, Self::NobodyLeft)
    }
}
