// SPDX-License-Identifier: Apache-2.0
//! StopContainer: one message with the grace period; the shim signals, waits and kills, also without this daemon.
//! A start that is under way is given up, and a container whose shim hangs is ended from outside.

use super::{Container, State, outside};
use crate::error::{Error, Kind, Result};
use crate::ids;
use crate::node::Node;
use gorae_proto::shim::{Stop, request::Verb};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How long after SIGKILL the end may take before the caller is told that the process is stuck. The shim goes on.
const KILL_DEADLINE: Duration = Duration::from_secs(10);
/// How often the shim is looked for again when the connection to it is not there.
const RECONNECTS: u32 = 5;
/// The pause in between.
const RECONNECT_PAUSE: Duration = Duration::from_millis(30);
/// How long a start that is under way is let be: an ordinary one is done by then, and the container ends as it wants.
const START_PATIENCE: Duration = Duration::from_millis(500);
/// How long giving a start up may take.
const GIVE_UP_DEADLINE: Duration = Duration::from_secs(20);

/// Stops a container with a grace period. Created and ended containers are stopped already.
///
/// # Errors
/// `DeadlineExceeded` with process and kernel function when the process does not die.
pub async fn stop(node: &Arc<Node>, container: &Arc<Container>, grace: Duration) -> Result<()> {
    // No verb lock: a second stop may only shorten the first one's wait, and the shim sees to that.
    let id = container.record().id.clone();
    let stopped = async {
        end_start(node, container).await?;
        match container.state() {
            State::Running { .. } => end_running(node, container, grace).await,
            _ => Ok(()),
        }
    };
    stopped.await.map_err(|e| e.during(format!("stop container {}", ids::short(&id))))
}

/// Waits a moment for a start that is under way, then has it given up.
async fn end_start(node: &Arc<Node>, container: &Arc<Container>) -> Result<()> {
    if !container.is_starting_here() {
        return end_earlier_start(node, container).await;
    }
    // A start holds this lock until the container is settled.
    if tokio::time::timeout(START_PATIENCE, container.verb.lock()).await.is_ok() {
        return Ok(());
    }
    container.give_up_start();
    let late = || Error::deadline("its start does not end, although its shim was killed");
    tokio::time::timeout(GIVE_UP_DEADLINE, container.verb.lock()).await.map(drop).map_err(|_| late())
}

/// The same for a start that a daemon before this one has asked for.
async fn end_earlier_start(node: &Arc<Node>, container: &Arc<Container>) -> Result<()> {
    let mut watch = container.watch();
    let over = watch.wait_for(|state| !matches!(state, State::Starting));
    if tokio::time::timeout(START_PATIENCE, over).await.is_ok() {
        return Ok(());
    }
    let end = super::start::start_error("it was to be stopped before its start was done");
    node.end_container(container, Some(end)).await
}

async fn end_running(node: &Arc<Node>, container: &Arc<Container>, grace: Duration) -> Result<()> {
    let mut watch = container.watch();
    match ask(node, container, grace).await {
        Ok(()) => {}
        // It does not answer, or cannot be reached.
        Err(e) if matches!(e.kind(), Kind::DeadlineExceeded | Kind::Unavailable) => {
            return outside::stop(node, container, grace).await;
        }
        Err(e) => return Err(e),
    }
    let ended = watch.wait_for(|s| matches!(s, State::Exited(_)));
    if tokio::time::timeout(grace + KILL_DEADLINE, ended).await.is_ok() {
        return Ok(());
    }
    if !outside::answers(container).await {
        return outside::stop(node, container, Duration::ZERO).await;
    }
    let stuck = container.stuck.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let why = if stuck.is_empty() { "the process does not end after SIGKILL".to_owned() } else { stuck };
    Err(Error::deadline(format!("unkillable: {why}")))
}

/// Tells the shim. When that cannot be done because it is gone, its end settles the container.
///
/// - Errors: `DeadlineExceeded` when it does not answer, `Unavailable` when it cannot be reached.
async fn ask(node: &Arc<Node>, container: &Arc<Container>, grace: Duration) -> Result<()> {
    let signal = container.record().process.stop_signal;
    let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
    let mut reconnects = 0;
    loop {
        let told = match container.running_shim() {
            Ok(shim) => {
                let verb = Verb::Stop(Stop { signal, grace_ms });
                shim.call_within(verb, &[], outside::ANSWER).await.map(|_| ()).map_err(Error::from)
            }
            Err(error) => Err(error),
        };
        match told {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == Kind::FailedPrecondition => return Ok(()),
            // A daemon that was just started has not found it yet, or the connection ended between look and call.
            Err(e) if e.kind() == Kind::Unavailable && reconnects < RECONNECTS => node.reconnect(container).await,
            Err(e) => return Err(e),
        }
        reconnects += 1;
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

/// Stops a container without grace.
///
/// # Errors
/// As [`stop`].
pub async fn kill(node: &Arc<Node>, container: &Arc<Container>) -> Result<()> {
    stop(node, container, Duration::ZERO).await
}
