// SPDX-License-Identifier: Apache-2.0
//! Ends a container whose shim hangs. Its log or state is on a file system that does not respond, and a shim's only
//! thread is blocked there.

use super::Container;
use crate::error::Result;
use crate::ids::{self, ContainerId};
use crate::keeper::Keeper;
use crate::process::{self, Process};
use gorae_kernel::process::ProcessId;
use gorae_proto::shim::End;
use gorae_proto::state::{UNKNOWN, UNKNOWN_CODE};
use gorae_shims::ANSWER_DEADLINE;
use std::sync::Arc;
use std::time::Duration;

/// How long a shim may take to report the end of a process that has ended.
const TELLING: Duration = Duration::from_secs(1);
/// How long a killed process may take to end before its exit code counts as unknown; the cgroup is checked in any case.
const DYING: Duration = Duration::from_secs(5);
/// The signal that cannot be ignored.
const SIGKILL: i32 = 9;
/// 128 + SIGKILL.
const KILLED_CODE: i32 = 137;

/// Whether the container's shim responds; also true when it has none, because then nothing hangs.
pub async fn answers(container: &Container) -> bool {
    match container.shim_if_any() {
        Some(shim) => shim.state(ANSWER_DEADLINE).await.is_ok(),
        None => true,
    }
}

/// Signals the container's first process, waits for at most `grace`, and kills the cgroup. The container's exit code is
/// the one that the kernel keeps for that process, because a hung shim has not reaped it. If the kernel has none, the
/// exit is 255 and Unknown. The shim dies when its file system responds again.
///
/// # Errors
/// `Internal`, with the cgroup, when a process does not die; the stop is then retried in the background.
pub async fn stop(keeper: &Arc<Keeper>, container: &Arc<Container>, grace: Duration) -> Result<()> {
    let id = container.record().id.clone();
    tracing::error!(
        container = ids::short(&id),
        "the container's shim does not respond; ending the container from outside"
    );
    let code = end_first_process(keeper, container, grace).await;
    if code != Some(KILLED_CODE) {
        // It ended by itself: a shim that has recovered knows more about the end than we do.
        let _ = tokio::time::timeout(TELLING, container.ended()).await;
    }
    if container.has_ended() {
        return Ok(());
    }
    keeper.settle(container, Some(end(code, &hangs(keeper, &id)))).await
}

/// Asks the first process to end, then kills it. Returns its exit code if the kernel still has it.
async fn end_first_process(keeper: &Keeper, container: &Container, grace: Duration) -> Option<i32> {
    let record = container.record();
    let state = keeper.state_on_disk(&record.id).ok().flatten()?;
    let first = ProcessId::from_wire(state.pid, state.pid_start_ticks)?;
    // `None`: it has ended already.
    if let Some(process) = Process::open(first).ok()? {
        if !grace.is_zero() && process.signal(record.process.stop_signal) {
            let over = async {
                tokio::select! { () = process.ended() => {}, () = container.ended() => {} }
            };
            let _ = tokio::time::timeout(grace, over).await;
        }
        // If it has already ended, this does nothing and its exit code stays.
        process.signal(SIGKILL);
        let _ = tokio::time::timeout(DYING, process.ended()).await;
    }
    process::exit_code(first)
}

fn end(code: Option<i32>, hangs: &str) -> End {
    let shim = format!("the container's shim did not answer ({hangs})");
    match code {
        Some(KILLED_CODE) => {
            End { exit_code: KILLED_CODE, reason: String::new(), message: format!("{shim}; killed from outside") }
        }
        Some(exit_code) => {
            End { exit_code, reason: String::new(), message: format!("{shim}; the process ended by itself") }
        }
        None => {
            let message = format!("{shim}; the exit code is not known");
            End { exit_code: UNKNOWN_CODE, reason: UNKNOWN.into(), message }
        }
    }
}

/// Where the shim hangs, for the error text.
fn hangs(keeper: &Keeper, id: &ContainerId) -> String {
    let shim = keeper.state_on_disk(id).ok().flatten().map_or(0, |state| state.shim_pid);
    let wchan = std::fs::read_to_string(format!("/proc/{shim}/wchan")).unwrap_or_default();
    let wchan = if matches!(wchan.as_str(), "" | "0") { "unknown" } else { &wchan };
    format!("pid {shim} at {wchan}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_nobody_saw_is_not_invented() {
        let told = |code| {
            let end = end(code, "pid 5 at fuse_wait");
            (end.exit_code, end.reason, end.message)
        };
        let hangs = "the container's shim did not answer (pid 5 at fuse_wait)";
        assert_eq!(told(Some(137)), (137, String::new(), format!("{hangs}; killed from outside")));
        assert_eq!(told(Some(0)), (0, String::new(), format!("{hangs}; the process ended by itself")));
        assert_eq!(told(None), (255, "Unknown".into(), format!("{hangs}; the exit code is not known")));
    }
}
