// SPDX-License-Identifier: Apache-2.0
//! StopContainer: one message with the grace period; the shim signals, waits and kills, also without this daemon.

use super::{Container, State};
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
/// How long a start that is under way may take before a stop gives up on it.
const STARTING_DEADLINE: Duration = Duration::from_secs(30);

/// Stops a container with a grace period. Created and ended containers are stopped already.
///
/// # Errors
/// `DeadlineExceeded` with process and kernel function when the process does not die.
pub async fn stop(node: &Arc<Node>, container: &Arc<Container>, grace: Duration) -> Result<()> {
    // No verb lock: a second stop may only shorten the first one's wait, and the shim sees to that.
    let mut watch = container.watch();
    if matches!(*watch.borrow(), State::Starting) {
        let started = watch.wait_for(|s| !matches!(s, State::Starting));
        tokio::time::timeout(STARTING_DEADLINE, started)
            .await
            .map_err(|_| Error::deadline("the container is still being started"))?
            .map_err(|_| Error::internal("the container's state has no writer"))?;
    }
    if !matches!(container.state(), State::Running { .. }) {
        return Ok(());
    }
    let id = container.record().id.clone();
    ask(node, container, grace).await.map_err(|e| e.during(format!("stop container {}", ids::short(&id))))?;
    let ended = watch.wait_for(|s| matches!(s, State::Exited(_)));
    match tokio::time::timeout(grace + KILL_DEADLINE, ended).await {
        Ok(_) => Ok(()),
        Err(_) => {
            let stuck = container.stuck.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let why = if stuck.is_empty() { "the process does not end after SIGKILL".to_owned() } else { stuck };
            Err(Error::deadline(format!("stop container {}: unkillable: {why}", ids::short(&id))))
        }
    }
}

/// Tells the shim. When that cannot be done because it is gone, its end settles the container.
async fn ask(node: &Arc<Node>, container: &Arc<Container>, grace: Duration) -> Result<()> {
    let signal = container.record().process.stop_signal;
    let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
    for _ in 0..RECONNECTS {
        let told = match container.running_shim() {
            Ok(shim) => shim.call(Verb::Stop(Stop { signal, grace_ms })).await.map(|_| ()),
            Err(error) => Err(error),
        };
        match told {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == Kind::FailedPrecondition => return Ok(()),
            // A daemon that was just started has not found it yet, or the connection ended between look and call.
            Err(e) if e.kind() == Kind::Unavailable => node.reconnect(container).await,
            Err(e) => return Err(e),
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
    Ok(())
}

/// Stops a container without grace.
///
/// # Errors
/// As [`stop`].
pub async fn kill(node: &Arc<Node>, container: &Arc<Container>) -> Result<()> {
    stop(node, container, Duration::ZERO).await
}
