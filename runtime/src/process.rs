// SPDX-License-Identifier: Apache-2.0
//! A handle on a process that is not our child, and that somebody told us of by number and start time.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A process: never another one that got its number later.
#[derive(Debug)]
pub struct Process(AsyncFd<OwnedFd>);

impl Process {
    /// Opens the process; `None` when it has ended.
    ///
    /// - Units: `start_ticks` is field 22 of /proc/PID/stat.
    ///
    /// # Errors
    /// The kernel's, when it has no descriptor left. Call inside a tokio runtime.
    pub fn open(pid: u32, start_ticks: u64) -> std::io::Result<Option<Self>> {
        let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let pidfd = match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        // After the handle was taken: the number cannot change hands in between.
        if started_at(pid) != Some(start_ticks) {
            return Ok(None);
        }
        register(pidfd).map(|fd| Some(Self(fd)))
    }

    /// Returns when it has ended.
    pub async fn ended(&self) {
        // An error is the runtime's end; there is nobody left to tell.
        let _ = self.0.readable().await;
    }

    /// Sends a signal; false when the process has ended, or when it is a real-time signal: those cannot be sent here.
    pub fn signal(&self, number: i32) -> bool {
        Signal::from_named_raw(number).is_some_and(|signal| pidfd_send_signal(self.0.get_ref(), signal).is_ok())
    }
}

#[expect(deprecated, reason = "the replacement is unsafe for types that swap their descriptor; an OwnedFd does not")]
fn register(pidfd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

/// Field 22 of /proc/PID/stat, unless the process has ended and only waits to be reaped.
fn started_at(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name before the last ')' may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(18)?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn the_end_of_a_process_is_seen_and_another_one_is_not_taken_for_it() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().expect("sleep");
        let ticks = started_at(child.id()).expect("it runs");
        assert!(Process::open(child.id(), ticks + 1).expect("open").is_none(), "the number is another's");
        let process = Process::open(child.id(), ticks).expect("open").expect("it runs");
        assert!(tokio::time::timeout(Duration::from_millis(20), process.ended()).await.is_err());
        assert!(process.signal(15) && !process.signal(0));
        tokio::time::timeout(Duration::from_secs(5), process.ended()).await.expect("it has ended");
        assert!(Process::open(child.id(), ticks).expect("open").is_none(), "not reaped yet, and ended all the same");
        child.wait().expect("reap");
    }
}
