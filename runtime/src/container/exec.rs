// SPDX-License-Identifier: Apache-2.0
//! ExecSync: run a command in a container, collect its output, bounded in bytes and time.
//!
//! The command's output goes through pipes straight to this process; the shim only starts it and reports its end.
//! When the command has ended, what it left behind is killed, so that a background child that holds the pipes
//! cannot hold the call.

use super::Container;
use crate::error::{Error, Kind, Result};
use crate::ids;
use crate::shims::{Answer, Shim, VERB_DEADLINE};
use gorae_proto::shim::{EndExec, Exec, reply, request::Verb};
use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

/// Most bytes that are kept of each stream. The CRI allows 16 MiB each, but the clients take 16 MiB for the whole
/// answer; what comes after the cap is read and dropped, so that the command is not disturbed.
const MAX_OUTPUT: usize = 7 << 20;
/// How long the output may take to end once the command and everything it started is gone.
const DRAIN_DEADLINE: Duration = Duration::from_millis(500);
/// How much longer than the command may run the shim may take to start it.
const START_SLACK: Duration = Duration::from_secs(2);
/// Slack over the shim's own timer before this side ends the command.
const TIMEOUT_SLACK: Duration = Duration::from_millis(150);

/// What a command did.
#[derive(Debug)]
pub struct Output {
    /// Standard output, capped.
    pub stdout: Vec<u8>,
    /// Standard error, capped.
    pub stderr: Vec<u8>,
    /// 0..255; 128 + n after signal n.
    pub exit_code: i32,
}

/// Ends the command when the caller goes away before it has ended.
struct EndOnDrop {
    shim: Shim,
    exec: Option<u64>,
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if let Some(exec) = self.exec.take() {
            let shim = self.shim.clone();
            tokio::spawn(async move { shim.call(Verb::EndExec(EndExec { exec })).await });
        }
    }
}

/// Runs a command.
///
/// - Units: `timeout` zero means none.
/// - Cancel: the command and its children are killed.
///
/// # Errors
/// `FailedPrecondition` when the container is not running; `NotFound` when the command is not there;
/// `DeadlineExceeded` on the timeout, after which no process of the command is left; `Unavailable` when the shim did not
/// start it.
pub async fn sync(container: &Arc<Container>, command: Vec<String>, timeout: Duration) -> Result<Output> {
    if command.is_empty() || command[0].is_empty() {
        return Err(Error::invalid("cmd is empty"));
    }
    if command.iter().any(|a| a.contains('\0')) {
        return Err(Error::invalid("cmd has a NUL byte"));
    }
    let title = format!("exec {:?} in container {}", command[0], ids::short(&container.record().id));
    run(container, command, timeout).await.map_err(|e| e.during(title))
}

async fn run(container: &Arc<Container>, command: Vec<String>, timeout: Duration) -> Result<Output> {
    let shim = container.running_shim()?;
    let (stdout, stdout_writer) = pipe()?;
    let (stderr, stderr_writer) = pipe()?;
    let order = Exec {
        args: command.into_iter().map(String::into_bytes).collect(),
        stdout: true,
        stderr: true,
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        kill_tree_at_exit: true,
        ..Exec::default()
    };
    let writers = [stdout_writer.as_fd(), stderr_writer.as_fd()];
    let Answer { body, exit, .. } =
        shim.call_within(Verb::Exec(order), &writers, start_deadline(timeout)).await.map_err(not_started)?;
    drop((stdout_writer, stderr_writer));
    let (reply::Body::ExecStarted(started), Some(exit)) = (body, exit) else {
        return Err(Error::internal("the shim answered something else than ExecStarted"));
    };
    let exit = exit.claim();
    let mut guard = EndOnDrop { shim, exec: Some(started.exec) };
    let (mut out, mut err) = (Collector::new(stdout), Collector::new(stderr));
    let exited = async {
        tokio::pin!(exit);
        let mut open = (true, true);
        loop {
            tokio::select! {
                ended = &mut exit => break ended,
                more = out.read_some(), if open.0 => open.0 = more,
                more = err.read_some(), if open.1 => open.1 = more,
            }
        }
    };
    let exited = if timeout.is_zero() {
        exited.await
    } else {
        tokio::time::timeout(timeout.saturating_add(TIMEOUT_SLACK), exited).await.map_err(|_| timed_out(timeout))?
    };
    let exited = exited.map_err(|_| lost())?;
    guard.exec = None;
    if exited.timed_out {
        return Err(timed_out(timeout));
    }
    let rest = async { tokio::join!(out.read_all(), err.read_all()) };
    let _ = tokio::time::timeout(DRAIN_DEADLINE, rest).await;
    Ok(Output { stdout: out.kept, stderr: err.kept, exit_code: exited.exit_code })
}

/// How long the shim may take to start a command: who gives it a second does not wait for twenty.
fn start_deadline(timeout: Duration) -> Duration {
    if timeout.is_zero() { VERB_DEADLINE } else { VERB_DEADLINE.min(timeout.saturating_add(START_SLACK)) }
}

/// What it means that the shim did not start a command.
pub fn not_started(error: Error) -> Error {
    match error.kind() {
        // kubelet takes that code for a command that ran too long, and counts a failed probe.
        Kind::DeadlineExceeded => Error::new(Kind::Unavailable, format!("the command was not started: {error}")),
        _ => ended_meanwhile(error),
    }
}

/// A shim goes with its container and not before: without one there is nothing left to run a command in.
pub fn ended_meanwhile(error: Error) -> Error {
    if error.kind() == Kind::Unavailable { Error::precondition("the container is not running any more") } else { error }
}

/// A command whose shim ended before it could tell the command's end, as one does that is killed.
pub fn lost() -> Error {
    Error::precondition("the container ended during the command, and so did its shim: the exit code is not known")
}

fn timed_out(timeout: Duration) -> Error {
    Error::deadline(format!("command timed out after {timeout:?} and was killed"))
}

fn pipe() -> Result<(Receiver, OwnedFd)> {
    let failed = |e: std::io::Error| Error::internal(format!("make a pipe: {e}"));
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
    rustix::io::ioctl_fionbio(&reader, true).map_err(|e| failed(e.into()))?;
    Ok((Receiver::from_owned_fd(reader).map_err(failed)?, writer))
}

/// Reads a pipe and keeps the first [`MAX_OUTPUT`] bytes.
struct Collector {
    pipe: Receiver,
    kept: Vec<u8>,
}

impl Collector {
    fn new(pipe: Receiver) -> Self {
        Self { pipe, kept: Vec::new() }
    }

    /// One read; false at the end.
    async fn read_some(&mut self) -> bool {
        let mut chunk = [0u8; 8192];
        match self.pipe.read(&mut chunk).await {
            Ok(0) | Err(_) => false,
            Ok(n) => {
                let room = MAX_OUTPUT - self.kept.len();
                self.kept.extend_from_slice(&chunk[..n.min(room)]);
                true
            }
        }
    }

    async fn read_all(&mut self) {
        while self.read_some().await {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::tests::{running, test_container};

    #[test]
    fn a_command_is_started_within_its_own_time_and_a_little() {
        assert_eq!(start_deadline(Duration::from_secs(1)), Duration::from_secs(3));
        assert_eq!(start_deadline(Duration::from_secs(600)), VERB_DEADLINE);
        assert_eq!(start_deadline(Duration::MAX), VERB_DEADLINE);
        assert_eq!(start_deadline(Duration::ZERO), VERB_DEADLINE, "no timeout");
    }

    #[tokio::test]
    async fn a_command_that_the_shim_does_not_start_is_not_one_that_timed_out() {
        let container = test_container(running());
        // A shim that hangs: it takes the request and says nothing.
        let (ours, _theirs) = tokio::net::UnixStream::pair().expect("pair");
        container.set_shim(Shim::attach(ours, tokio::sync::mpsc::unbounded_channel().0));
        let error = sync(&container, vec!["true".into()], Duration::from_millis(1)).await.expect_err("it hangs");
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert!(error.to_string().contains("the command was not started"), "{error}");
    }
}
