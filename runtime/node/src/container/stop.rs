// SPDX-License-Identifier: Apache-2.0
//! StopContainer: one message with the grace period. The shim signals, waits and kills, even if the daemon is gone. A start
//! in progress is given up, and a container whose shim hangs is ended from outside.

use super::{Container, Line, State, force_stop};
use crate::error::{Error, Result};
use crate::ids;
use crate::keeper::{Keeper, start_error};
use gorae_proto::shim::failure;
use gorae_shims::{self as shims, ANSWER_DEADLINE};
use std::sync::Arc;
use std::time::Duration;

/// How long a process may take to end after SIGKILL before the caller gets an error. The shim keeps waiting.
const KILL_DEADLINE: Duration = Duration::from_secs(10);
/// How many times the shim is looked for again when it is not connected.
const RECONNECTS: u32 = 5;
/// The pause between two of these tries.
const RECONNECT_PAUSE: Duration = Duration::from_millis(30);
/// How long a start in progress is left alone: a normal one is done by then, and the container can end by itself.
const START_PATIENCE: Duration = Duration::from_millis(500);
/// How long it may take to give up a start.
const GIVE_UP_DEADLINE: Duration = Duration::from_secs(20);

/// Stops a container with a grace period. A container that is created or has ended counts as stopped.
///
/// # Errors
/// `DeadlineExceeded`, with the process and its kernel function, when the process does not die.
pub async fn stop(keeper: &Arc<Keeper>, container: &Arc<Container>, grace: Duration) -> Result<()> {
    // No verb lock: a second stop can only shorten the first one's wait, and the shim handles that.
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

/// Waits a moment for a start in progress, then makes it give up.
async fn end_start(keeper: &Arc<Keeper>, container: &Arc<Container>) -> Result<()> {
    if !container.look_at_line(Line::is_starting) {
        return end_earlier_start(keeper, container).await;
    }
    // A start holds this lock until the container is settled.
    if tokio::time::timeout(START_PATIENCE, container.verb.lock()).await.is_ok() {
        return Ok(());
    }
    container.change_line(Line::give_up_start);
    let late = || Error::deadline("its start does not finish, although its shim was killed");
    tokio::time::timeout(GIVE_UP_DEADLINE, container.verb.lock()).await.map(drop).map_err(|_| late())
}

/// The same for a start that an earlier daemon requested.
async fn end_earlier_start(keeper: &Arc<Keeper>, container: &Arc<Container>) -> Result<()> {
    let mut watch = container.watch();
    let over = watch.wait_for(|state| !matches!(state, State::Starting));
    if tokio::time::timeout(START_PATIENCE, over).await.is_ok() {
        return Ok(());
    }
    keeper.settle(container, Some(start_error("it was stopped before its start was done"))).await
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

/// The result of sending a stop to a shim.
enum Asked {
    /// The shim has begun to stop the container.
    Stopping,
    /// The container has ended already.
    Ended,
    /// The shim does not respond, or cannot be reached.
    Silent,
}

/// Sends a stop to the shim. A daemon that was just started may not have found the shim yet, and a connection can end
/// between look and call. In both cases the shim is looked for, and the stop is sent again.
async fn ask(keeper: &Arc<Keeper>, container: &Arc<Container>, grace: Duration) -> Result<Asked> {
    let signal = container.record().process.stop_signal;
    for _ in 0..=RECONNECTS {
        if container.has_ended() {
            return Ok(Asked::Ended);
        }
        let Some(shim) = keeper.shim(container).await else {
            // Its shim has died, and the container is being ended because of that.
            let settled = container.line_is(|line| !matches!(line, Line::Settling));
            let _ = tokio::time::timeout(ANSWER_DEADLINE, settled).await;
            return Ok(if container.has_ended() { Asked::Ended } else { Asked::Silent });
        };
        match shim.stop(signal, grace).await {
            Ok(()) => return Ok(Asked::Stopping),
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
