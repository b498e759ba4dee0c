// SPDX-License-Identifier: Apache-2.0
//! Reaping processes: which there are, and how they ended.

use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus};
use std::os::fd::{AsFd, OwnedFd};

/// Reaps the process behind `pidfd` if it has ended: its exit code, 128+n after signal n.
pub fn reap(pidfd: &OwnedFd) -> Option<i32> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    match rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options) {
        Ok(status) => status.map(|status| code(&status)),
        // Something else reaped it, which nothing of ours does.
        Err(_) => Some(crate::state::UNKNOWN_CODE),
    }
}

fn code(status: &WaitIdStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code & 0xff,
        (None, Some(signal)) => 128 + signal,
        (None, None) => crate::state::UNKNOWN_CODE,
    }
}

/// The children of this process, including ended ones that are not reaped yet.
pub fn children() -> Vec<i32> {
    let list = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Whether the container died of the kernel's OOM killer: it struck in the cgroup, the first process reports
/// SIGKILL (its own, or as a shell reports a child's), and the SIGKILL was not ours.
pub fn died_of_oom(oom_kills: u64, exit_code: i32, killed_by_us: bool) -> bool {
    oom_kills > 0 && exit_code == 128 + libc::SIGKILL && !killed_by_us
}

#[cfg(test)]
mod tests {
    use super::died_of_oom;

    #[test]
    fn only_a_kill_that_the_kernel_made_counts_as_oom() {
        assert!(died_of_oom(1, 137, false));
        assert!(!died_of_oom(0, 137, false), "killed from outside");
        assert!(!died_of_oom(3, 0, false), "a helper was killed, the container went on and ended well");
        assert!(!died_of_oom(1, 137, true), "stopped by us, long after a helper was killed");
    }
}
