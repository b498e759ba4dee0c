// SPDX-License-Identifier: Apache-2.0
//! Stops the container: signal, grace period, SIGKILL to the whole cgroup, and retries while something does not die.
//!
//! ```text
//! Stop ──signal──> waiting ──grace over──> killed ──2 s──> stuck (retries with growing pauses)
//!                     │ another Stop: the earlier deadline applies, no second signal
//!                     '──> the process ends: done, from any state
//! ```
//! It proceeds by itself, even if the daemon that requested it is gone.

use crate::failure::{self, Result};
use crate::setup::Container;
use crate::sys;
use gorae_kernel::process::Stat;
use std::fs;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long a killed process may take to exit before it is reported as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(2);

/// The longest pause between two SIGKILLs of something that does not die.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The longest grace period that is kept, in milliseconds: ten years.
const LONGEST_GRACE_MS: u64 = 10 * 365 * 86_400 * 1000;

/// A stop in progress.
#[derive(Debug)]
pub struct Stop {
    /// When the next step is due.
    pub deadline: Instant,
    /// Whether SIGKILL was sent.
    pub killed: bool,
    pause: Duration,
}

impl Stop {
    /// Signals the first process and sets the deadline. Without a grace period, kills at once.
    ///
    /// # Errors
    /// The kernel's error, with the signal or the cgroup. A process that has ended is not an error.
    pub fn begin(container: &Container, signal: i32, grace_ms: u64, now: Instant) -> Result<Self> {
        let mut stop = Self { deadline: now + grace(grace_ms), killed: false, pause: STUCK_AFTER };
        if grace_ms == 0 {
            stop.kill(container, now)?;
            return Ok(stop);
        }
        match sys::pidfd_send_signal(container.pidfd.as_fd(), signal) {
            Err(e) if e.raw_os_error() != Some(libc::ESRCH) => {
                Err(failure::kernel("signal", format!("{signal} to pid {}", container.pid), e))
            }
            _ => Ok(stop),
        }
    }

    /// Applies another Stop, which can only bring the deadline forward.
    pub fn shorten(&mut self, grace_ms: u64, now: Instant) {
        if !self.killed {
            self.deadline = self.deadline.min(now + grace(grace_ms));
        }
    }

    /// Sends the SIGKILL that is due, the first or another one. If an earlier one had no effect, returns what the process is
    /// stuck in.
    ///
    /// # Errors
    /// The kernel's error, with the cgroup; the next try is scheduled all the same.
    pub fn on_time(&mut self, container: &Container, now: Instant) -> Result<Option<String>> {
        if now < self.deadline {
            return Ok(None);
        }
        let stuck = self.killed.then(|| describe_stuck(container));
        self.kill(container, now)?;
        Ok(stuck)
    }

    fn kill(&mut self, container: &Container, now: Instant) -> Result<()> {
        if self.killed {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
        self.killed = true;
        self.deadline = now + self.pause;
        // The first process is killed separately: without cgroup.kill, the cgroup may be listed while it forks.
        let _ = sys::pidfd_send_signal(container.pidfd.as_fd(), libc::SIGKILL);
        container.cgroup.kill()
    }
}

fn grace(ms: u64) -> Duration {
    Duration::from_millis(ms.min(LONGEST_GRACE_MS))
}

/// Describes a process that is still alive: its pid, its state and where it waits in the kernel.
fn describe_stuck(container: &Container) -> String {
    let pid = container.cgroup.processes().into_iter().find(|&pid| !is_zombie(pid)).unwrap_or(container.pid);
    let wchan = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
    let wchan = if matches!(wchan.as_str(), "" | "0") { "unknown" } else { &wchan };
    format!("pid {pid} in {} at {wchan}", run_state(pid))
}

fn is_zombie(pid: i32) -> bool {
    matches!(run_state(pid), 'Z' | '?')
}

/// The state letter in /proc/PID/stat; '?' when the process is gone.
fn run_state(pid: i32) -> char {
    let stat = u32::try_from(pid).ok().and_then(|pid| Stat::read(pid).ok().flatten());
    stat.and_then(|stat| stat.state()).unwrap_or('?')
}
