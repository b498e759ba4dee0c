// SPDX-License-Identifier: Apache-2.0
//! The table of host ports: written as a whole, or changed by a few elements.

use crate::binding::Binding;
use crate::error::NetworkError;
use crate::held::{self, HOOKED};
use crate::nft::{self, NftError};
use crate::rules::{self, Rules};
use crate::state::{Failure, State, TableGuard, TableState, blocking};
use crate::{loopback, services, way};

/// Applies a small change; if that fails, rewrites the whole table.
///
/// # Errors
/// As [`write`]; [`NetworkError::Busy`], [`NetworkError::Netlink`].
pub async fn change(state: &State, change: impl FnOnce(&Rules) -> String) -> Result<(), NetworkError> {
    let mut table = state.table().await?;
    if *table == TableState::Written {
        let moved = services::look(state).await;
        let rules = state.rules();
        let services = if moved { rules.replace_services() } else { String::new() };
        let script = format!("{services}{}", change(&rules));
        if script.is_empty() {
            return Ok(());
        }
        match nft::apply(&script).await {
            Ok(()) if has_guard(&rules.name).await? => {
                loopback::follow(state).await;
                return Ok(());
            }
            Ok(()) => tracing::debug!("the guard was flushed; rewriting the table"),
            // A rewrite would hang, too, and the next caller waits for the lock.
            Err(error @ NftError::Deadline { .. }) => {
                *table = TableState::Unknown;
                let late = Err(error.into());
                note(state, &late);
                return late;
            }
            // It was flushed from outside, or an earlier change was cut off.
            Err(error) => tracing::debug!(%error, "the table is not as expected; rewriting it"),
        }
    }
    write(state, &mut table).await
}

/// Puts the addresses of Services into a table that is in use. What fails is done by the next write.
pub async fn follow_services(state: &State) {
    let in_use = state.known().table.is_some();
    if !in_use {
        return;
    }
    if let Err(error) = change(state, |_| String::new()).await {
        tracing::debug!(%error, "cannot put the addresses of Services into the table");
    }
}

/// Writes what the table should hold in one transaction, then lets loopback traffic to the pods.
///
/// # Errors
/// [`NetworkError::Nft`], which `degraded` reports. Where 127.0.0.1 does not lead is reported there, too, but no error.
pub async fn write(state: &State, table: &mut TableGuard<'_>) -> Result<(), NetworkError> {
    **table = TableState::Unknown;
    let ways = way::find(state.with_pods(|pods| pods.all_targets())).await;
    services::look(state).await;
    let rules = state.rules();
    let (bindings, holding) = state.with_pods(|pods| {
        pods.know_ways(&ways);
        pods.wanted()
    });
    let written = replace(state, &rules, &bindings).await;
    note(state, &written);
    if written.is_err() {
        close_without_guard(state, &rules.name).await;
        return written;
    }
    state.with_pods(|pods| pods.rewritten(&holding));
    **table = TableState::Written;
    {
        let mut known = state.known();
        known.loopback_on.clear();
        loopback::know(&mut known, &ways, &bindings);
    }
    loopback::follow(state).await;
    Ok(())
}

/// Brings the table up to date at a start: writes it for the pods that were taken over, or removes what a killed daemon
/// left of it.
///
/// # Errors
/// As [`write`].
pub async fn settle(state: &State, table: &mut TableGuard<'_>) -> Result<(), NetworkError> {
    if **table == TableState::Written {
        return Ok(());
    }
    if state.with_pods(|pods| pods.need_table()) {
        return write(state, table).await;
    }
    // What a killed daemon switched on for pods that are gone.
    loopback::close(state).await?;
    let name = state.rules().name;
    if state.known().is_unused() && blocking(move || exists(&name)).await? {
        remove_if_unused(state).await
    } else {
        Ok(())
    }
}

/// Removes the table when no pod needs it. The administrator's chain stays if it has rules.
///
/// # Errors
/// [`NetworkError::Nft`], [`NetworkError::Netlink`]; those of [`loopback::close`], then the guard stays.
pub async fn remove_if_unused(state: &State) -> Result<(), NetworkError> {
    if state.with_pods(|pods| pods.need_table()) {
        return Ok(());
    }
    loopback::close(state).await?;
    if !nft::is_installed() {
        return Ok(());
    }
    nft::apply(&removal(&state.rules().name).await?).await?;
    state.known().table = None;
    Ok(())
}

/// Asks the kernel whether the table exists and no chain of ours was flushed: then it has no rules. Blocking.
///
/// # Errors
/// [`NetworkError::Netlink`].
pub fn is_whole(name: &str) -> Result<bool, NetworkError> {
    for chain in HOOKED.into_iter().chain(["hostports"]) {
        if !has_rules(name, chain)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Keeps pods and neighbours from the node's 127.0.0.1 when the table cannot be written and has lost its guard.
async fn close_without_guard(state: &State, name: &str) {
    if has_guard(name).await.is_ok_and(|guarded| !guarded) {
        // A failure is kept for `degraded`.
        let _ = loopback::close(state).await;
    }
}

async fn has_guard(table: &str) -> Result<bool, NetworkError> {
    let table = table.to_owned();
    blocking(move || has_rules(&table, "guard")).await
}

/// Asks the kernel whether a chain has rules. Blocking.
fn has_rules(table: &str, chain: &str) -> Result<bool, NetworkError> {
    let asked = nft::has_rules(table, chain);
    asked.map_err(|source| NetworkError::Netlink { what: "look into table", object: table.into(), source })
}

/// Asks the kernel whether the table exists. Blocking.
///
/// # Errors
/// [`NetworkError::Nft`].
pub fn exists(name: &str) -> Result<bool, NetworkError> {
    nft::has_table(name).map_err(|e| NftError::Run(e.to_string()).into())
}

/// The transaction that removes a table of ours, or all of ours from it if the administrator's chain has rules.
async fn removal(table: &str) -> Result<String, NetworkError> {
    let name = table.to_owned();
    if blocking(move || has_rules(&name, rules::USER_CHAIN)).await? {
        Ok(held::clear(table, &nft::list(&["table", "inet", table]).await?))
    } else {
        Ok(rules::remove(table))
    }
}

/// Replaces the contents; makes our objects anew when they cannot be replaced. What is the administrator's is not touched.
async fn replace(state: &State, rules: &Rules, bindings: &[Binding]) -> Result<(), NetworkError> {
    let earlier = state.known().table.clone().filter(|earlier| *earlier != rules.name);
    let drop_earlier = match earlier {
        Some(earlier) => removal(&earlier).await?,
        None => String::new(),
    };
    if let Err(error) = nft::apply(&format!("{drop_earlier}{}", rules.replace(bindings))).await {
        let NftError::Refused(why) = error else { return Err(error.into()) };
        tracing::warn!(table = rules.name, why, "the table of host ports cannot be changed; making it anew");
        let stuck = |error| match error {
            NftError::Refused(why) => NftError::Stuck { table: rules.name.clone(), why },
            other => other,
        };
        let listing = nft::list(&["table", "inet", &rules.name]).await.map_err(stuck)?;
        nft::apply(&format!("{drop_earlier}{}", rules.renew(bindings, &listing))).await.map_err(stuck)?;
    }
    state.known().table = Some(rules.name.clone());
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
