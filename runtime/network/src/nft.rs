// SPDX-License-Identifier: Apache-2.0
//! Runs nft: one script, one transaction, one deadline. What the kernel can be asked directly is asked without it.

use crate::command::{self, Failure};
use crate::nfnetlink::{dump, exchange};
use gorae_kernel::netlink::{REQUEST, attribute_of};
use std::time::Duration;

/// How long one transaction may take. A thousand host ports take some 20 ms.
const DEADLINE: Duration = Duration::from_secs(10);

// linux/netfilter/nf_tables.h
const NFT_MSG_GETTABLE: u16 = (10 << 8) | 1;
const NFT_MSG_GETRULE: u16 = (10 << 8) | 7;
const NFTA_TABLE_NAME: u16 = 1;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFPROTO_INET: u8 = 1;

/// Why a transaction was not applied.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NftError {
    /// The nft program is missing.
    #[error("nft is not installed: host ports, masquerade and the check of pods' sources need it (package nftables)")]
    Missing,
    /// It could not be started, or its pipes failed.
    #[error("run nft: {0}")]
    Run(String),
    /// It did not exit in time and was killed; the transaction may or may not have been applied.
    #[error("nft did not finish within {} s", .after.as_secs())]
    Deadline {
        /// The deadline.
        after: Duration,
    },
    /// The kernel or nft refused a table that cannot be renewed either.
    #[error(
        "nft cannot write table inet {table}: {why}; if rules of yours refer to Gorae's chains, sets or maps, remove them, \
         or else save what is yours in it and delete the table"
    )]
    Stuck {
        /// The table.
        table: String,
        /// What nft said.
        why: String,
    },
    /// The kernel or nft refused the transaction; no part of it was applied.
    #[error("nft refused the transaction: {0}")]
    Refused(String),
}

/// Applies a script as one transaction.
///
/// - Cancel: nft is killed.
///
/// # Errors
/// [`NftError`]. Only after `Deadline` is it unknown whether the script was applied.
pub async fn apply(script: &str) -> Result<(), NftError> {
    run(&["-f", "-"], script).await.map(drop)
}

/// Lists an object as text.
///
/// # Errors
/// [`NftError`], `Refused` when there is no such object.
pub async fn list(object: &[&str]) -> Result<String, NftError> {
    run(&[&["-s", "list"], object].concat(), "").await
}

async fn run(arguments: &[&str], input: &str) -> Result<String, NftError> {
    let program = command::find("nft").ok_or(NftError::Missing)?;
    command::run(&program, arguments, input, DEADLINE).await.map_err(|failure| match failure {
        Failure::Run(error) => NftError::Run(error.to_string()),
        Failure::Deadline => NftError::Deadline { after: DEADLINE },
        Failure::Status(said) => NftError::Refused(said),
    })
}

/// Asks the kernel whether the table exists. Blocking; does not run nft.
///
/// # Errors
/// The kernel's error for a reason other than that the table does not exist.
pub fn has_table(name: &str) -> std::io::Result<bool> {
    let name = attribute_of(NFTA_TABLE_NAME, &[name.as_bytes(), b"\0"].concat());
    match exchange(NFT_MSG_GETTABLE, REQUEST, NFPROTO_INET, &name) {
        Ok(()) => Ok(true),
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Asks the kernel whether a chain has rules. Blocking; does not run nft.
///
/// # Errors
/// The kernel's error for a reason other than that the chain does not exist.
pub fn has_rules(table: &str, chain: &str) -> std::io::Result<bool> {
    let text = |kind, text: &str| attribute_of(kind, &[text.as_bytes(), b"\0"].concat());
    let of = [text(NFTA_RULE_TABLE, table), text(NFTA_RULE_CHAIN, chain)].concat();
    match dump(NFT_MSG_GETRULE, NFPROTO_INET, &of, |_, _| Some(())) {
        Ok(rules) => Ok(!rules.is_empty()),
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Whether the nft program is installed.
pub fn is_installed() -> bool {
    command::find("nft").is_some()
}
