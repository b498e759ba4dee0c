// SPDX-License-Identifier: Apache-2.0
//! Memory and processor time of processes, as the kernel accounts it.

use anyhow::{Context, Result};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use std::time::Duration;

/// Proportional set size of a process, in kB: its private pages and its share of the shared ones.
///
/// # Errors
/// When the process does not exist.
pub fn pss_kb(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = text.lines().find_map(|l| l.strip_prefix("Pss:")).with_context(|| format!("no Pss in {path}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Processor time of a process so far, all its threads, to the nanosecond; panics when the process does not exist.
#[must_use]
pub fn processor_time(pid: u32) -> Duration {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process id"));
    let clock = clock_getcpuclockid(pid).expect("the process is there");
    clock.now().expect("a clock can be read").into()
}

/// The most memory that a process has had resident, in kB, since its start or the last [`forget_peak`].
///
/// # Errors
/// When the process does not exist.
pub fn peak_kb(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:")).with_context(|| format!("no VmHWM in {path}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Makes what is resident now the peak.
///
/// # Errors
/// When the process does not exist.
pub fn forget_peak(pid: u32) -> Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    std::fs::write(&path, "5").with_context(|| format!("write {path}"))
}
