// SPDX-License-Identifier: Apache-2.0
//! ExecSync: runs a command in a container and collects its output, bounded in bytes and time.
//!
//! The command's output goes through pipes straight to this process; the shim only starts the command and reports its end.
//! A timeout ends the command with everything that it has started. A command that ends by itself may leave a background
//! process, as postStart hooks do. That process lives on, and if it keeps the pipes open, it delays the call only briefly.

mod output;
mod streams;

use super::Container;
use crate::error::{Error, Kind, Result};
use crate::ids;
use gorae_proto::shim::Exec;
use gorae_shims::{self as shims, Running, Shim, VERB_DEADLINE};
use output::Kept;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use streams::Streams;
use tokio::sync::Semaphore;

/// How long the pipes may stay open after the command has ended. By then its own output is in them; this time is for the
/// output of background processes.
const DRAIN_DEADLINE: Duration = Duration::from_millis(100);
/// How much longer than the command's timeout the shim may take to start it.
const START_SLACK: Duration = Duration::from_secs(2);
/// How much longer than the shim's own timer this side waits before it ends the command.
const TIMEOUT_SLACK: Duration = Duration::from_millis(150);

/// The result of a command.
#[derive(Debug)]
pub struct Output {
    /// The beginning of standard output.
    pub stdout: Vec<u8>,
    /// The beginning of standard error; if output was truncated, the last line says how much of both was left out.
    pub stderr: Vec<u8>,
    /// 0..255; 128 + n after signal n.
    pub exit_code: i32,
}

/// Ends the command if the caller goes away before it has ended.
struct EndOnDrop {
    shim: Shim,
    exec: Option<u64>,
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if let Some(exec) = self.exec.take() {
            let shim = self.shim.clone();
            tokio::spawn(async move { shim.end_exec(exec).await });
        }
    }
}

/// Runs a command.
///
/// - Units: `timeout` zero means none.
/// - Cancel: the command and its children are killed, unless the command has already ended.
///
/// # Errors
/// `FailedPrecondition` when the container is not running; `NotFound` when the command does not exist;
/// `DeadlineExceeded` on the timeout, after which no process of the command is left; `Unavailable` when the shim did
/// not start it.
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
    let (mut streams, Running { exec, exit, .. }) = start(&shim, command, timeout).await?;
    let mut guard = EndOnDrop { shim, exec: Some(exec) };
    let exited = read_until(&mut streams, exit.claim(), timeout).await?.map_err(|_| lost())?;
    guard.exec = None;
    if exited.timed_out {
        return Err(timed_out(timeout));
    }
    // In its own task: background processes must not lose their readers if the caller goes away now.
    let kept = tokio::spawn(rest(streams, container.helpers.clone())).await;
    let kept = kept.map_err(|e| Error::internal(format!("read the rest of the output: {e}")))?;
    if kept.cut() > 0 {
        let id = container.record().id.clone();
        let why = "the output of a command was truncated: it is larger than a response can be";
        tracing::info!(container = ids::short(&id), bytes = kept.cut(), "{why}");
    }
    let (stdout, stderr) = kept.finish();
    Ok(Output { stdout, stderr, exit_code: exited.exit_code })
}

/// Makes the shim start the command with pipes to this process.
async fn start(shim: &Shim, command: Vec<String>, timeout: Duration) -> Result<(Streams, Running)> {
    let (streams, writers) = Streams::make()?;
    let order = Exec {
        args: command.into_iter().map(String::into_bytes).collect(),
        stdout: true,
        stderr: true,
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        ..Exec::default()
    };
    let sent = writers.each_ref().map(AsFd::as_fd);
    let running = shim.exec(order, &sent, start_deadline(timeout)).await.map_err(not_started)?;
    Ok((streams, running))
}

/// Reads the output until the command has ended; returns its exit.
///
/// # Errors
/// `DeadlineExceeded` when the shim has not ended the command in time.
async fn read_until<T>(streams: &mut Streams, exit: impl Future<Output = T>, timeout: Duration) -> Result<T> {
    let ended = async {
        tokio::pin!(exit);
        loop {
            tokio::select! {
                ended = &mut exit => break ended,
                () = streams.read_some(), if !streams.ended() => {}
            }
        }
    };
    if timeout.is_zero() {
        return Ok(ended.await);
    }
    tokio::time::timeout(timeout.saturating_add(TIMEOUT_SLACK), ended).await.map_err(|_| timed_out(timeout))
}

/// Reads what is in the pipes of a command that has ended, and what follows within a moment.
async fn rest(mut streams: Streams, helpers: Arc<Semaphore>) -> Kept {
    streams.take_what_is_there();
    let _ = tokio::time::timeout(DRAIN_DEADLINE, streams.read_all()).await;
    streams.finish(&helpers)
}

/// How long the shim may take to start a command: a caller that allows one second should not wait for twenty.
fn start_deadline(timeout: Duration) -> Duration {
    if timeout.is_zero() { VERB_DEADLINE } else { VERB_DEADLINE.min(timeout.saturating_add(START_SLACK)) }
}

/// The error for a command that the shim did not start.
pub fn not_started(error: shims::Error) -> Error {
    match error {
        // kubelet would read DeadlineExceeded as a command that ran too long, and count a failed probe.
        shims::Error::TimedOut(_) => Error::new(Kind::Unavailable, format!("the command was not started: {error}")),
        _ => ended_meanwhile(error),
    }
}

/// The error for a shim that is gone. A shim outlives its container, so nothing is left to run a command in.
pub fn ended_meanwhile(error: shims::Error) -> Error {
    match error {
        shims::Error::Gone(_) => Error::precondition("the container is not running any more"),
        _ => error.into(),
    }
}

/// The error for a command whose shim ended, for example because it was killed, before it could report the command's end.
pub fn lost() -> Error {
    Error::precondition("the container and its shim ended during the command: the exit code is not known")
}

fn timed_out(timeout: Duration) -> Error {
    Error::deadline(format!("command timed out after {timeout:?} and was killed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::Line;
    use crate::container::fixtures::{self, running};

    #[test]
    fn a_command_is_started_within_its_own_time_and_a_little() {
        assert_eq!(start_deadline(Duration::from_secs(1)), Duration::from_secs(3));
        assert_eq!(start_deadline(Duration::from_secs(600)), VERB_DEADLINE);
        assert_eq!(start_deadline(Duration::MAX), VERB_DEADLINE);
        assert_eq!(start_deadline(Duration::ZERO), VERB_DEADLINE, "no timeout");
    }

    #[tokio::test]
    async fn a_command_that_the_shim_does_not_start_is_not_one_that_timed_out() {
        let container = fixtures::container(running());
        // A shim that hangs: it accepts the request and does not reply.
        let (ours, _theirs) = tokio::net::UnixStream::pair().expect("pair");
        assert!(container.change_line(Line::look));
        let shim = Shim::new(ours, tokio::sync::mpsc::channel(1).0);
        assert!(container.change_line(|line| line.attach(shim)));
        let error = sync(&container, vec!["true".into()], Duration::from_millis(1)).await.expect_err("it hangs");
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert!(error.to_string().contains("the command was not started"), "{error}");
    }
}
