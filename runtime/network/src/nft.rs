// SPDX-License-Identifier: Apache-2.0
//! Runs `nft -f -`: one script, one transaction, one deadline.

use crate::nfnetlink::exchange;
use gorae_kernel::netlink::{REQUEST, attribute_of};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// How long one transaction may take. A thousand host ports take some 20 ms.
const DEADLINE: Duration = Duration::from_secs(10);
/// How much of nft's error output is kept.
const MAX_STDERR: usize = 2048;
/// Where nft is searched for after PATH, because services often start with a short one.
const USUAL_DIRS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];

// linux/netfilter/nf_tables.h
const NFT_MSG_GETTABLE: u16 = (10 << 8) | 1;
const NFTA_TABLE_NAME: u16 = 1;
const NFPROTO_INET: u8 = 1;

/// Why a transaction was not applied.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NftError {
    /// The nft program is missing.
    #[error("nft is not installed: host ports and masquerade need it (package nftables)")]
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
    let program = find().ok_or(NftError::Missing)?;
    let child = Command::new(program)
        .args(["-f", "-"])
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| NftError::Run(e.to_string()))?;
    tokio::time::timeout(DEADLINE, feed(child, script)).await.unwrap_or(Err(NftError::Deadline { after: DEADLINE }))
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

/// Whether the nft program is installed.
pub fn is_installed() -> bool {
    find().is_some()
}

async fn feed(mut child: Child, script: &str) -> Result<(), NftError> {
    if let Some(mut stdin) = child.stdin.take() {
        // An nft that exits before it has read everything explains why on stderr.
        let _ = stdin.write_all(script.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(|e| NftError::Run(e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = &output.stderr[..output.stderr.len().min(MAX_STDERR)];
    let said = String::from_utf8_lossy(said).split_whitespace().collect::<Vec<_>>().join(" ");
    Err(NftError::Refused(if said.is_empty() { output.status.to_string() } else { said }))
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = USUAL_DIRS.iter().map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|dir| dir.join("nft")).find(|file| file.is_file())
}
