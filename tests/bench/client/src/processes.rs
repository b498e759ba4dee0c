// SPDX-License-Identifier: Apache-2.0
//! Which processes belong to the runtime, their memory and their CPU time.

use anyhow::Result;
use gorae_tests::memory::pss_kb;
use std::collections::BTreeSet;
use std::time::Duration;

/// What the programs are called that stay beside a container.
const HELPERS: [&str; 2] = ["shim", "conmon"];

/// All processes.
pub fn all() -> BTreeSet<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The helpers of a runtime among the processes that were not there before.
pub fn helpers(before: &BTreeSet<u32>) -> Vec<u32> {
    let is_helper = |pid: &u32| {
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        HELPERS.iter().any(|helper| name.contains(helper))
    };
    all().difference(before).copied().filter(is_helper).collect()
}

/// Proportional set size of processes in kB; those that ended meanwhile count as nothing.
pub fn total_pss(pids: &[u32]) -> u64 {
    pids.iter().filter_map(|pid| pss_kb(*pid).ok()).sum()
}

/// A daemon's proportional set size in kB after a moment of rest.
pub fn settled_pss(pid: u32) -> Result<u64> {
    std::thread::sleep(Duration::from_secs(1));
    pss_kb(pid)
}

/// CPU time of processes so far, all threads, as the scheduler counts it (nanoseconds, not ticks).
pub fn cpu(pids: &[u32]) -> Duration {
    let threads = |pid: &u32| std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let time = |text: String| text.split(' ').next()?.parse().ok();
    let each = pids.iter().flat_map(threads).filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        time(text).map(Duration::from_nanos)
    });
    each.sum()
}
