// SPDX-License-Identifier: Apache-2.0
//! StopContainer: one message with the grace period; the shim signals, waits and kills, also without this daemon.
//! A start that is under way is given up, and a container whose shim hangs is ended from outside.

use super::{Container, Line, State, force_stop};
use crate::error::{Error, Result};
use crate::ids;
use crate::keeper::{Keeper, start_error};
use gorae_proto::shim::{Stop, failure, request::Verb};
use gorae_shims as shims;
use std::sync::Arc;
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
pub async fn stop(keeper: &Arc<Keeper>, container: &Arc<Container>, grace: Duration) -> Result<()> {
    // No verb lock: a second stop may only shorten the first one's wait, and the shim sees to that.
    let id = container.record().id.clone();
    let stopped = async {
        end_start(keeper, container).await?;
        match container.state() {
            State::Running { .. } => end_running(keeper, container, grace).await,
            _ => Ok(()),
        }
    };
    stopped.await.map_err(|e| e.during(format!("stop container {}", ids::short(&id))))
}

/// Waits a moment for a start that is under way, then has it given up.
async fn end_start(keeper: &Arc<Keeper>, container: &Arc<Container>) -> Result<()> {
    if !container.look_at_line(Line::is_starting) {
        return end_earlier_start(keeper, container).await;
    }
    // A start holds this lock until the container is settled.
    if tokio::time::timeout(START_PATIENCE, container.verb.lock()).await.is_ok() {
        return Ok(());
    }
    container.change_line(Line::give_up_start);
    let late = || Error::deadline("its start does not end, although its shim was killed");
    tokio::time::timeout(GIVE_UP_DEADLINE, container.verb.lock()).await.map(drop).map_err(|_| late())
}

/// The same for a start that a daemon before this one has asked for.
async fn end_earlier_start(keeper: &Arc<Keeper>, container: &Arc<Container>) -> Result<()> {
    let mut watch = container.watch();
    let over = watch.wait_for(|state| !matches!(state, State::Starting));
    if tokio::time::timeout(START_PATIENCE, over).await.is_ok() {
        return Ok(());
    }
    keeper.settle(container, Some(start_error("it was to be stopped before its start was done"))).await
}

async fn end_running(keeper: &Arc<Keeper>, container: &Arc<Container>, grace: Duration) -> Result<()> {
    match ask(keeper, container, grace).await? {
        Asked::Ended => return Ok(()),
        Asked::Silent => return force_stop::stop(keeper, container, grace).await,
        Asked::Stopping => {}
    }
    if tokio::time::timeout(grace + KILL_DEADLINE, container.ended()).await.is_ok() {
        return Ok(());
    }
    if !force_stop::answers(container).await {
        return force_stop::stop(keeper, container, Duration::ZERO).await;
    }
    let why = container.look_at_line(|line| line.stuck().map(str::to_owned));
    let why = why.unwrap_or_else(|| "the process does not end after SIGKILL".to_owned());
    Err(Error::deadline(format!("unkillable: {why}")))
}

/// What a shim that was to be told of a stop did.
enum Asked {
    /// It has begun.
    Stopping,
    /// The container has ended already.
    Ended,
    /// It does not answer, or cannot be reached.
    Silent,
}

/// Tells the shim. A daemon that was just started has not found it yet, and a connection can end between look and call:
/// then it is looked for, and told again.
async fn ask(keeper: &Arc<Keeper>, container: &Arc<Container>, grace: Duration) -> Result<Asked> {
    let signal = container.record().process.stop_signal;
    let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
    for _ in 0..=RECONNECTS {
        if container.has_ended() {
            return Ok(Asked::Ended);
        }
        let Some(shim) = keeper.shim(container).await else {
            // Its shim has died, and it is being ended for that.
            let settled = container.line_is(|line| !matches!(line, Line::Settling));
            let _ = tokio::time::timeout(force_stop::ANSWER, settled).await;
            return Ok(if container.has_ended() { Asked::Ended } else { Asked::Silent });
        };
        match shim.call_within(Verb::Stop(Stop { signal, grace_ms }), &[], force_stop::ANSWER).await {
            Ok(_) => return Ok(Asked::Stopping),
            Err(shims::Error::Gone(_)) => tokio::time::sleep(RECONNECT_PAUSE).await,
            Err(shims::Error::TimedOut(_)) => return Ok(Asked::Silent),
            Err(error) if error.refused() == Some(failure::Kind::FailedPrecondition) => return Ok(Asked::Ended),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Asked::Silent)
}

/// Stops a container without grace.
///
/// # Errors
/// As [`stop`].
pub async fn kill(keeper: &Arc<Keeper>, container: &Arc<Container>) -> Result<()> {
    stop(keeper, container, Duration::ZERO).await
}
