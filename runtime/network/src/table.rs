// SPDX-License-Identifier: Apache-2.0
//! The table of host ports: written as a whole, or changed by one element.

use crate::error::NetworkError;
use crate::rules::Rules;
use crate::state::{Failure, State, TableGuard, TableState};
use crate::{nft, sysctl};

/// Applies a small change; if that fails, rewrites the whole table.
///
/// # Errors
/// As [`write`]; [`NetworkError::Busy`].
pub async fn change(state: &State, change: impl FnOnce(&Rules<'_>) -> String) -> Result<(), NetworkError> {
    let mut table = state.table().await?;
    if *table == TableState::Written {
        let script = state.known().record.as_ref().map(|record| change(&Rules::of(record)));
        match nft::apply(&script.ok_or(NetworkError::NotMade)?).await {
            Ok(()) => return Ok(()),
            // It was flushed from outside, or an earlier change was cut off.
            Err(error) => tracing::debug!(%error, "the table is not as expected; rewriting it"),
        }
    }
    write(state, &mut table).await
}

/// Writes the whole table in one transaction, then lets loopback traffic over the bridge.
///
/// # Errors
/// [`NetworkError::NotMade`] before there is a subnet; [`NetworkError::Nft`], [`NetworkError::Sysctl`], which
/// `degraded` reports.
pub async fn write(state: &State, table: &mut TableGuard<'_>) -> Result<(), NetworkError> {
    **table = TableState::Unknown;
    let record = state.known().record.clone().ok_or(NetworkError::NotMade)?;
    let (bindings, holding) = state.with_pods(|pods| pods.wanted()).unwrap_or_default();
    let written = match nft::apply(&Rules::of(&record).replace(&bindings)).await {
        Ok(()) => sysctl::route_loopback(&record.bridge),
        Err(error) => Err(error.into()),
    };
    note(state, &written);
    written?;
    state.with_pods(|pods| pods.rewritten(&holding));
    **table = TableState::Written;
    Ok(())
}

/// Records the result of writing the table; a new failure is logged once, not at every attempt.
pub fn note(state: &State, written: &Result<(), NetworkError>) {
    let failure = written.as_ref().err().map(Failure::new);
    let before = std::mem::replace(&mut state.known().table_failure, failure.clone());
    match (before, failure) {
        (before, Some(now)) if before.as_ref().is_none_or(|before| before.message != now.message) => {
            tracing::warn!(error = now.message, "pods are not masqueraded and host ports are not available");
        }
        (Some(_), None) => tracing::info!("masquerade and host ports work again"),
        _ => {}
    }
}
