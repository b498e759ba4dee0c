// SPDX-License-Identifier: Apache-2.0
//! Memory of processes, as the kernel accounts it.

use anyhow::{Context, Result};

/// Proportional set size of a process, in kB: its private pages and its share of the shared ones.
///
/// # Errors
/// When there is no such process.
pub fn pss_kb(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = text.lines().find_map(|l| l.strip_prefix("Pss:")).with_context(|| format!("no Pss in {path}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
