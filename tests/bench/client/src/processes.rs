// SPDX-License-Identifier: Apache-2.0
//! Which processes belong to the runtime, their memory and their CPU time.

use anyhow::Result;
use gorae_tests::memory::pss_kb;
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
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
        // Not the link `exe`: that of a shim names a mount of its own.
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
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

/// CPU time of processes so far, all their threads, to the nanosecond: ticks would round what is measured here away.
pub fn cpu(pids: &[u32]) -> Duration {
    let spent = |pid: &u32| {
        let pid = Pid::from_raw(i32::try_from(*pid).ok()?);
        clock_getcpuclockid(pid).and_then(ClockId::now).ok().map(Duration::from)
    };
    pids.iter().filter_map(spent).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_shows_in_the_cpu_time_and_rest_does_not() {
        let me = [std::process::id()];
        let before = cpu(&me);
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(200) {
            std::hint::black_box(before);
        }
        assert!(cpu(&me) - before > Duration::from_millis(5));
        let mut sleeper = std::process::Command::new("sleep").arg("60").spawn().expect("sleep runs");
        std::thread::sleep(Duration::from_millis(200));
        let (pid, begun) = ([sleeper.id()], cpu(&[sleeper.id()]));
        std::thread::sleep(Duration::from_millis(200));
        assert!(begun > Duration::ZERO && cpu(&pid) == begun);
        sleeper.kill().and_then(|()| sleeper.wait()).expect("it ends");
    }
}
