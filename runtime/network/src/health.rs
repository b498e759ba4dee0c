// SPDX-License-Identifier: Apache-2.0
//! The health of the node's network as conditions report it, and the background retries that heal it.

use crate::error::NetworkError;
use crate::state::{Failure, State};
use crate::take_over::resume;
use crate::{nft, pod_cidr, table};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to wait after a failure before the next background retry.
const RETRY: Duration = Duration::from_secs(10);

/// What the table does besides host ports, for people who read that it is missing.
const WITHOUT_TABLE: &str =
    "without the table pods are not masqueraded, and nothing checks that they send from their own addresses";

/// Why the network is not ready or not complete: a CRI condition's reason and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// One word for programs.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
}

/// See [`Network::status`](crate::Network::status).
///
/// # Errors
/// The last failure.
pub fn status(state: &Arc<State>) -> Result<(), Reason> {
    let mut known = state.known();
    let failures = [known.bridge_failure.as_ref(), known.table_failure.as_ref()];
    if failures.into_iter().flatten().any(|failure| failure.at.elapsed() > RETRY) {
        let now = Instant::now();
        known.bridge_failure.iter_mut().for_each(|failure| failure.at = now);
        known.table_failure.iter_mut().for_each(|failure| failure.at = now);
        tokio::spawn(retry(state.clone()));
    }
    let message = known.bridge_failure.as_ref().map(|failure| failure.message.clone());
    message.map_or(Ok(()), |message| Err(Reason { reason: "NetworkNotReady", message }))
}

/// Retries what failed. A node without a bridge only writes the table, and without host ports only looks for nft.
async fn retry(state: Arc<State>) {
    let Some(mut guard) = state.table_if_free() else { return };
    let (nothing_made, need_table) = {
        let known = state.known();
        (known.bridge.is_none() && known.bridge_failure.is_none(), known.pods.need_table())
    };
    if nothing_made && need_table {
        // A failure is kept for `degraded`, and a new one is logged once.
        let _ = table::write(&state, &mut guard).await;
    } else if nothing_made {
        let found: Result<(), NetworkError> =
            if nft::is_installed() { Ok(()) } else { Err(nft::NftError::Missing.into()) };
        table::note(&state, &found);
    } else if let Err(error) = resume(&state, &mut guard).await {
        tracing::debug!(%error, "the network is still not ready");
    }
}

/// See [`Network::degraded`](crate::Network::degraded).
pub fn degraded(state: &State) -> Option<Reason> {
    let (table, blocked, loopback) = {
        let known = state.known();
        let said = |failure: &Option<Failure>| failure.as_ref().map(|failure| failure.message.clone());
        (said(&known.table_failure), known.blocked.clone(), said(&known.loopback_failure))
    };
    let table = table.map(|why| format!("{why}; {WITHOUT_TABLE}"));
    let loopback = loopback.map(|why| format!("host ports on 127.0.0.1 may not answer: {why}"));
    let all = [
        ("HostPortsUnavailable", table),
        ("ForwardingBlocked", blocked),
        ("LoopbackNotRouted", loopback),
        ("PodCidrWaiting", pod_cidr::waiting(state)),
    ];
    let all: Vec<(&'static str, String)> = all.into_iter().filter_map(|(reason, why)| Some((reason, why?))).collect();
    let messages: Vec<&str> = all.iter().map(|(_, why)| why.as_str()).collect();
    all.first().map(|(reason, _)| Reason { reason, message: messages.join("; ") })
}
