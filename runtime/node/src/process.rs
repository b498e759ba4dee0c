// SPDX-License-Identifier: Apache-2.0
//! A handle on a process that is not our child, and that a record identifies by pid and start time.

use gorae_kernel::process::{ProcessId, Stat};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A process, and never a later one with the same pid.
#[derive(Debug)]
pub struct Process(AsyncFd<OwnedFd>);

impl Process {
    /// Opens the process; `None` when it has ended.
    ///
    /// # Errors
    /// The kernel's error when no descriptor is left, which means nothing for the process. Call it inside a tokio runtime.
    pub fn open(id: ProcessId) -> std::io::Result<Option<Self>> {
        let Some(raw) = i32::try_from(id.pid()).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let pidfd = match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        // Checked after the handle was opened, so that the pid cannot be reused in between.
        if started_at(id.pid())? != Some(id.start()) {
            return Ok(None);
        }
        register(pidfd).map(|fd| Some(Self(fd)))
    }

    /// Returns when it has ended.
    pub async fn ended(&self) {
        // An error means that the runtime has shut down; nobody is waiting any more.
        let _ = self.0.readable().await;
    }

    /// Sends a signal; false when the process has ended, and for a real-time signal, which cannot be sent here.
    pub fn signal(&self, number: i32) -> bool {
        Signal::from_named_raw(number).is_some_and(|signal| pidfd_send_signal(self.0.get_ref(), signal).is_ok())
    }
}

#[expect(deprecated, reason = "the replacement is unsafe for types that swap their descriptor; an OwnedFd does not")]
fn register(pidfd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

/// The exit code of a process that has ended and that its parent has not reaped yet: 128 + n after signal n. `None` while
/// it runs, when it is gone, and when the kernel does not show it to us.
///
/// - Source: proc_pid_stat(5): field 52 is the wait status, and 0 for a reader that must not see it.
pub fn exit_code(id: ProcessId) -> Option<i32> {
    let stat = Stat::read(id.pid()).ok()??;
    if !stat.has_ended() || stat.start()? != id.start() {
        return None;
    }
    // Needs the same permission as field 52, and fails without it.
    std::fs::read_link(format!("/proc/{}/ns/user", id.pid())).ok()?;
    let status = stat.wait_status()?;
    match status & 0x7f {
        0 => Some(status >> 8 & 0xff),
        signal => Some(128 + signal),
    }
}

/// When the process was started, unless it has ended and only waits to be reaped.
fn started_at(pid: u32) -> std::io::Result<Option<u64>> {
    Ok(Stat::read(pid)?.filter(|stat| !stat.has_ended()).and_then(|stat| stat.start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn the_end_of_a_process_is_seen_and_another_one_is_not_taken_for_it() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().expect("sleep");
        let id = ProcessId::of(child.id()).expect("read").expect("it runs");
        let another = ProcessId::from_wire(id.pid(), id.start() + 1).expect("a process");
        assert!(Process::open(another).expect("open").is_none(), "the number is another's");
        let process = Process::open(id).expect("open").expect("it runs");
        assert!(tokio::time::timeout(Duration::from_millis(20), process.ended()).await.is_err());
        assert!(process.signal(15) && !process.signal(0));
        tokio::time::timeout(Duration::from_secs(5), process.ended()).await.expect("it has ended");
        assert!(Process::open(id).expect("open").is_none(), "not reaped yet, and ended all the same");
        child.wait().expect("reap");
    }

    #[tokio::test]
    async fn the_exit_code_of_a_process_is_seen_until_it_is_reaped() {
        for (script, code) in [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137)] {
            // It waits for its standard input to end, so that it is observed while it runs.
            let mut child = std::process::Command::new("sh")
                .args(["-c", &format!("read line; {script}")])
                .stdin(std::process::Stdio::piped())
                .spawn()
                .expect("sh");
            let id = ProcessId::of(child.id()).expect("read").expect("it runs");
            let another = ProcessId::from_wire(id.pid(), id.start() + 1).expect("a process");
            let process = Process::open(id).expect("open").expect("it runs");
            assert_eq!(exit_code(id), None, "it runs");
            drop(child.stdin.take());
            tokio::time::timeout(Duration::from_secs(20), process.ended()).await.expect("it has ended");
            assert_eq!(exit_code(id), Some(code), "{script}");
            assert_eq!(exit_code(another), None, "another one");
            child.wait().expect("reap");
            assert_eq!(exit_code(id), None, "reaped");
        }
    }
}
