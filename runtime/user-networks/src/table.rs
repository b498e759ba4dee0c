// SPDX-License-Identifier: Apache-2.0
//! The table in the kernel: written when it differs from what it should be, and removed when nothing needs it.

use crate::error::{Error, Result};
use crate::rules::{self, Zone};
use crate::state::{State, WorkGuard, blocking};
use gorae_network::{NetworkError, NftError, nft};

/// Makes the table hold these networks.
///
/// # Errors
/// [`Error::NoNft`]; [`Error::Node`] with what nft said.
pub async fn write(state: &State, work: &mut WorkGuard<'_>, zones: &[Zone]) -> Result<()> {
    if zones.is_empty() {
        return remove(state, work).await;
    }
    let text = rules::replace(&state.table, zones);
    if work.written.as_ref() == Some(&text) {
        return Ok(());
    }
    // It is not known what a run leaves that is cut off.
    work.written = None;
    apply(&text).await?;
    work.written = Some(text);
    Ok(())
}

async fn remove(state: &State, work: &mut WorkGuard<'_>) -> Result<()> {
    if work.written.as_deref() == Some("") {
        return Ok(());
    }
    let name = state.table.clone();
    if blocking(move || exists(&name)).await? {
        work.written = None;
        apply(&rules::remove(&state.table)).await?;
    }
    work.written = Some(String::new());
    Ok(())
}

async fn apply(text: &str) -> Result<()> {
    nft::apply(text).await.map_err(|error| match error {
        NftError::Missing => Error::NoNft,
        other => Error::Node(other.into()),
    })
}

/// Looks whether the kernel still has what was written. If not, the next [`write`] writes it.
///
/// # Errors
/// [`Error::Node`].
pub async fn look(state: &State, work: &mut WorkGuard<'_>) -> Result<()> {
    let Some(written) = &work.written else { return Ok(()) };
    let (name, some) = (state.table.clone(), !written.is_empty());
    let as_written = blocking(move || if some { is_whole(&name) } else { exists(&name).map(|there| !there) }).await?;
    if !as_written {
        tracing::warn!(table = state.table, "the table of networks was changed from outside; writing it again");
        work.written = None;
    }
    Ok(())
}

fn exists(name: &str) -> Result<bool> {
    nft::has_table(name).map_err(|source| asked(name, source))
}

/// Whether no chain was removed or flushed.
fn is_whole(name: &str) -> Result<bool> {
    for chain in rules::CHAINS {
        if !nft::has_rules(name, chain).map_err(|source| asked(name, source))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn asked(table: &str, source: std::io::Error) -> Error {
    Error::Node(NetworkError::Netlink { what: "look into table", object: table.into(), source })
}
