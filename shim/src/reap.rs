// SPDX-License-Identifier: Apache-2.0
//! Reaps processes: lists the children, and decodes how they ended.

use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus};
use std::os::fd::{AsFd, OwnedFd};

/// Reaps the process behind `pidfd` if it has ended. Returns its exit code, which is 128+n after signal n.
pub fn reap(pidfd: &OwnedFd) -> Option<i32> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    match rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options) {
        Ok(status) => status.map(|status| code(&status)),
        // Something else has reaped it, although none of our code does.
        Err(_) => Some(gorae_proto::state::UNKNOWN_CODE),
    }
}

fn code(status: &WaitIdStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code & 0xff,
        (None, Some(signal)) => 128 + signal,
        (None, None) => gorae_proto::state::UNKNOWN_CODE,
    }
}

/// The children of this process, including zombies.
pub fn children() -> Vec<i32> {
    let list = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Whether the kernel's OOM killer ended the container: it killed in the cgroup, the first process reports SIGKILL (its
/// own, or that of a child, as a shell does), and the SIGKILL was not ours.
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
        assert!(!died_of_oom(3, 0, false), "a helper was killed, but the container continued and exited with 0");
        assert!(!died_of_oom(1, 137, true), "stopped by us, long after a helper was killed");
    }
}
