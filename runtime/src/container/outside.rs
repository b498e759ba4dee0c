// SPDX-License-Identifier: Apache-2.0
//! Ends a container whose shim hangs: its log or its state is on a file system that does not answer, and what blocks
//! one thread there blocks the only one.

use super::{Container, State};
use crate::error::Result;
use crate::ids;
use crate::node::Node;
use crate::process::Process;
use gorae_proto::shim::{End, GetState, request::Verb};
use std::sync::Arc;
use std::time::Duration;

/// How long a shim may take for an answer that costs it nothing before it is taken to hang.
pub const ANSWER: Duration = Duration::from_secs(5);
/// 128 + SIGKILL.
const KILLED_CODE: i32 = 137;

/// Whether the container's shim answers; also true when there is none, for then nothing hangs.
pub async fn answers(container: &Container) -> bool {
    match container.shim_if_any() {
        Some(shim) => shim.call_within(Verb::GetState(GetState {}), &[], ANSWER).await.is_ok(),
        None => true,
    }
}

/// Signals the container's first process, waits for at most `grace`, and kills the cgroup. The container has then ended
/// with 137; its shim dies when its file system lets it.
///
/// # Errors
/// `Internal` with the cgroup when a process does not die; it is tried again in the background.
pub async fn stop(node: &Arc<Node>, container: &Arc<Container>, grace: Duration) -> Result<()> {
    let id = container.record().id.clone();
    tracing::error!(container = ids::short(&id), "the container's shim does not answer; ending it from outside");
    if !grace.is_zero() {
        ask_politely(node, container, grace).await;
    }
    if matches!(container.state(), State::Exited(_)) {
        return Ok(());
    }
    let message =
        format!("the container's shim did not answer for {ANSWER:?} ({}); killed from outside", hangs(node, &id));
    let end = End { exit_code: KILLED_CODE, reason: String::new(), message };
    let ended = node.end_container(container, Some(end)).await;
    if ended.is_err() {
        node.clean_later(container);
    }
    ended
}

/// The stop signal; returns when the process has ended, the shim has told so after all, or the grace is over.
async fn ask_politely(node: &Node, container: &Container, grace: Duration) {
    let record = container.record();
    let Ok(Some(state)) = node.state_on_disk(&record.id) else { return };
    let Ok(Some(process)) = Process::open(state.pid, state.pid_start_ticks) else { return };
    if !process.signal(record.process.stop_signal) {
        return;
    }
    let mut watch = container.watch();
    let told = watch.wait_for(|s| matches!(s, State::Exited(_)));
    let _ = tokio::time::timeout(grace, async {
        tokio::select! {
            () = process.ended() => {}
            _ = told => {}
        }
    })
    .await;
}

/// What the shim is at, for people.
fn hangs(node: &Node, id: &str) -> String {
    let shim = node.state_on_disk(id).ok().flatten().map_or(0, |state| state.shim_pid);
    let wchan = std::fs::read_to_string(format!("/proc/{shim}/wchan")).unwrap_or_default();
    let wchan = if matches!(wchan.as_str(), "" | "0") { "unknown" } else { &wchan };
    format!("pid {shim} at {wchan}")
}
