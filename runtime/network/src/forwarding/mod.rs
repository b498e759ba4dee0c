// SPDX-License-Identifier: Apache-2.0
//! Other programs' firewalls that drop what the node forwards, by a policy or by a last rule: ufw's default, firewalld,
//! hardened hosts, Docker when it switched forwarding on. An accepting rule of ours in our own table does not help against them; only one in theirs does.
//!
//! They are found and reported. With `network.open_forward`, two rules for each subnet of the pods go into them, and are
//! removed when nothing uses them any more. A failure here never fails a pod.

mod complaint;
mod expression;
mod gate;
mod hand;
mod iptables_text;
mod legacy;
mod netfilter;
mod nft_text;
mod rule;
mod step;
mod ufw;
mod walk;
mod words;

use crate::error::NetworkError;
use crate::state::State;
use gate::Gate;
use ipnet::IpNet;
use rule::Rule;
use std::time::Duration;

/// How long one look may take, changes included. Without such a firewall it takes less than a millisecond.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks for firewalls that drop the traffic of the built-in network's pods. Opens them if that is configured, and
/// otherwise keeps a message for `degraded`.
pub async fn look(state: &State) {
    let (name, subnets) = (state.rules().name, state.subnets());
    let looked = tokio::time::timeout(PATIENCE, pass(&name, &subnets, state.config.open_forward)).await;
    let message = match looked {
        Ok(Ok(message)) => message,
        Ok(Err(error)) => return tracing::warn!(%error, "cannot see whether a firewall drops the traffic of pods"),
        Err(_) => return tracing::warn!("looking for a firewall that drops the traffic of pods took too long"),
    };
    let before = std::mem::replace(&mut state.known().blocked, message.clone());
    if let Some(message) = message.filter(|now| before.as_ref() != Some(now)) {
        tracing::warn!("{message}");
    }
}

/// Looks for firewalls that drop the traffic of other subnets than the built-in network's. With `open`, our rules go into
/// them, and those of subnets that `owner` no longer has come out. Returns the message for people if one is in the way.
///
/// - Shapes: `owner` is the name of an nftables table, which is not looked at.
///
/// # Errors
/// [`NetworkError::Busy`] when it takes more than 5 s; [`NetworkError::Netlink`], [`NetworkError::Nft`],
/// [`NetworkError::Iptables`].
pub async fn let_through(owner: &str, subnets: &[IpNet], open: bool) -> Result<Option<String>, NetworkError> {
    let late = NetworkError::Busy { seconds: PATIENCE.as_secs() };
    tokio::time::timeout(PATIENCE, pass(owner, subnets, open)).await.unwrap_or(Err(late))
}

/// Removes what [`let_through`] has added for an owner.
///
/// # Errors
/// As there.
pub async fn withdraw(owner: &str) -> Result<(), NetworkError> {
    let late = NetworkError::Busy { seconds: PATIENCE.as_secs() };
    tokio::time::timeout(PATIENCE, sweep(owner)).await.unwrap_or(Err(late))
}

/// Removes our rules from the firewalls of others.
pub async fn close(state: &State) {
    let name = state.rules().name;
    match tokio::time::timeout(PATIENCE, sweep(&name)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "cannot remove the rules of network.open_forward"),
        Err(_) => tracing::warn!("removing the rules of network.open_forward took too long"),
    }
}

/// Compares each firewall with what it should have; returns the message for people if one of them is in the way.
async fn pass(owner: &str, subnets: &[IpNet], open: bool) -> Result<Option<String>, NetworkError> {
    let mut messages = Vec::new();
    for gate in gates(owner).await? {
        let wanted = gate.rules_for(owner, subnets);
        let done = if open { Some(bring_up_to_date(&gate, &wanted).await) } else { None };
        let failed = match done {
            Some(Ok(())) => continue,
            Some(Err(error)) if wanted.is_empty() => return Err(error),
            // A table may belong to its program alone: then the kernel refuses our rules.
            Some(Err(error)) => Some(error),
            None => None,
        };
        if wanted.is_empty() {
            continue;
        }
        let chains = gate.read(&hand::list(&gate).await?);
        if !gate.lets_through(&chains, subnets) {
            messages.push(complaint::complaint(&gate, &chains, &wanted, failed.as_ref()));
        }
    }
    Ok((!messages.is_empty()).then(|| messages.join("; ")))
}

async fn bring_up_to_date(gate: &Gate, wanted: &[Rule]) -> Result<(), NetworkError> {
    for stale in gate.ours.iter().filter(|ours| !wanted.iter().any(|rule| rule.comment == ours.comment)) {
        hand::delete(gate, stale).await?;
    }
    for missing in wanted.iter().filter(|rule| !gate.ours.iter().any(|ours| ours.comment == rule.comment)) {
        hand::insert(gate, missing).await?;
        tracing::info!(rule = missing.comment, "network.open_forward: added a rule to {}", gate.name());
    }
    Ok(())
}

async fn sweep(owner: &str) -> Result<(), NetworkError> {
    for gate in all(owner).await? {
        bring_up_to_date(&gate, &[]).await?;
    }
    Ok(())
}

/// The firewalls that drop what no rule accepts.
async fn gates(owner: &str) -> Result<Vec<Gate>, NetworkError> {
    Ok(all(owner).await?.into_iter().filter(Gate::drops).collect())
}

/// All chains of others that see forwarded packets.
async fn all(owner: &str) -> Result<Vec<Gate>, NetworkError> {
    let mut found = netfilter::find(owner).await?;
    found.extend(legacy::find(owner).await?);
    Ok(found)
}
