// SPDX-License-Identifier: Apache-2.0
//! The only place where a shim's reports become a container's state, and where a container without a shim is settled.
//!
//! ```text
//! start, or a look after the daemon's own start
//!   └─▶ keep: ┌▶ process the shim's reports, until its connection ends
//!             │    └ look for it: ── found ──┘      (a live shim whose connection broke)
//!             │                   ── exists, but out of reach: look again after longer and longer pauses
//!             └─────────────────────  gone: the state on disk is its last word, or a one-off shim settles
//! ```
//!
//! One task per live container runs `Keeper::keep`. The container's [`Line`] says which step is in progress, so that
//! a verb can see it, wait for it and take over from it.

use crate::container::{self, Container, Line, State, phase_of};
use crate::disk;
use crate::error::Result;
use crate::events::Events;
use crate::ids::{self, ContainerId};
use crate::machine::Machine;
use crate::objects::Objects;
use crate::records;
use gorae_kernel::clock;
use gorae_proto::PROTOCOL;
use gorae_proto::shim::{self as wire, CleanContainer, container_state::Phase};
use gorae_proto::state::{START_ERROR, START_ERROR_CODE, UNKNOWN, UNKNOWN_CODE};
use gorae_shims::{self as shims, Shim, ShimEvent};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::{sleep, timeout};
use tracing::Instrument;

/// How long a caller waits for a look that is in progress: a shim that does not respond must not hold up the others.
const LOOK_PATIENCE: Duration = Duration::from_secs(3);
/// How many times a shim that is still starting is looked for.
const COMING_TRIES: u32 = 20;
/// The pause between two of these tries.
const COMING_PAUSE: Duration = Duration::from_millis(10);
/// The first pause before a shim that could not be reached is looked for again.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// The first pause before another try to settle a container.
const SETTLE_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause of both: a shim that comes back is noticed within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Keeps every container's state in line with what its shim reports.
#[derive(Debug)]
pub struct Keeper {
    objects: Arc<Objects>,
    machine: Arc<Machine>,
    events: Arc<Events>,
}

/// A connected shim and the queue of its reports.
#[derive(Debug)]
struct Connection {
    shim: Shim,
    said: Receiver<ShimEvent>,
}

/// The result of a look for a shim.
#[derive(Debug)]
enum Found {
    /// A shim listens.
    Shim(Connection),
    /// There is no shim.
    Nothing,
    /// There may be one: it accepts no more connections, or this daemon has no descriptor left.
    OutOfReach(shims::Error),
}

/// Logs a shim that speaks a later version of the protocol, as after a downgrade of the daemon alone. Such a shim supports
/// every verb of this daemon. Anything beyond this version that it was set to do stays in force.
fn warn_of_a_later_shim(state: &wire::ContainerState) {
    if state.protocol > PROTOCOL {
        tracing::warn!(
            container = ids::short(&state.container_id),
            shim = state.protocol,
            daemon = PROTOCOL,
            "the container's shim is newer than this daemon; restart the container when you can"
        );
    }
}

/// The end that is recorded for a container whose start was given up.
pub fn start_error(why: &str) -> wire::End {
    wire::End { exit_code: START_ERROR_CODE, reason: START_ERROR.into(), message: why.to_owned() }
}

impl Keeper {
    /// Makes a keeper for these objects.
    pub fn new(objects: Arc<Objects>, machine: Arc<Machine>, events: Arc<Events>) -> Self {
        Self { objects, machine, events }
    }

    /// The shim's state record; `None` when there is none.
    ///
    /// # Errors
    /// As [`records::read`].
    pub fn state_on_disk(&self, container_id: &ContainerId) -> Result<Option<wire::ContainerState>> {
        container::read_state(&self.machine.places.container_run(container_id))
    }

    /// Takes over a shim that a start has just made. False when the container is being ended instead; the caller then
    /// has to kill the shim.
    pub fn attach(self: &Arc<Self>, container: &Arc<Container>, shim: Shim, said: Receiver<ShimEvent>) -> bool {
        let attached = container.change_line(|line| line.attach(shim.clone()));
        if attached {
            tokio::spawn(self.clone().keep(container.clone(), Some(Connection { shim, said })));
        }
        attached
    }

    /// Looks for a container's shim, unless a look is in progress, and waits a moment for the result. The look continues in
    /// the background.
    pub async fn reconnect(self: &Arc<Self>, container: &Arc<Container>) {
        if container.change_line(Line::look) {
            tokio::spawn(self.clone().keep(container.clone(), None));
        }
        let decided = async {
            container.line_is(|line| !matches!(line, Line::Looking)).await;
            // A shim that is still starting its container responds only when that is done.
            let _ = container.watch().wait_for(|state| *state != State::Starting).await;
        };
        let _ = timeout(LOOK_PATIENCE, decided).await;
    }

    /// The shim of a running container, looked for if it is not connected; `None` when it cannot be reached.
    pub async fn shim(self: &Arc<Self>, container: &Arc<Container>) -> Option<Shim> {
        let connected = container.shim_if_any();
        if connected.is_some() || !container.look_at_line(|line| matches!(line, Line::Down | Line::Looking)) {
            return connected;
        }
        self.reconnect(container).await;
        container.shim_if_any()
    }

    /// Follows one container; see the module documentation. The line is `Up` with this shim, or `Looking` without one.
    async fn keep(self: Arc<Self>, container: Arc<Container>, mut connection: Option<Connection>) {
        let mut pause = LOOK_PAUSE;
        loop {
            if let Some(Connection { shim, said }) = connection.take() {
                self.take_in(&container, said).await;
                if !container.change_line(|line| line.lose(&shim)) {
                    // It is being ended without its shim.
                    return;
                }
                pause = LOOK_PAUSE;
                if self.has_told_its_end(&container) {
                    return self.gone(&container).await;
                }
                sleep(COMING_PAUSE).await;
            }
            match self.find(&container).await {
                Found::Shim(found) if self.take_back(&container, &found.shim) => connection = Some(found),
                // The container is being ended in the meantime.
                Found::Shim(_) => return,
                Found::Nothing => return self.gone(&container).await,
                Found::OutOfReach(_) if self.is_over(&container) => return container.change_line(Line::find_nothing),
                Found::OutOfReach(error) => {
                    let id = &container.record().id;
                    tracing::warn!(container = ids::short(id), %error, "cannot reach the container's shim; retrying");
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Processes a shim's reports until its connection ends.
    async fn take_in(&self, container: &Arc<Container>, mut said: Receiver<ShimEvent>) {
        while let Some(ShimEvent::State(state)) = said.recv().await {
            self.said(container, &state).await;
        }
    }

    fn has_told_its_end(&self, container: &Container) -> bool {
        container.has_ended()
            || matches!(self.state_on_disk(&container.record().id), Ok(Some(state)) if phase_of(&state) == Phase::Exited)
    }

    fn is_over(&self, container: &Container) -> bool {
        container.has_ended() || self.objects.containers.get(&container.record().id).is_none()
    }

    /// Processes a report of a container's shim, and keeps a copy of an end in case of a reboot.
    pub async fn said(&self, container: &Arc<Container>, state: &wire::ContainerState) {
        if let Some(stopping) = &state.stopping {
            container.change_line(|line| line.is_stuck(&stopping.stuck));
        }
        if !state.hook_error.is_empty() {
            let container = ids::short(&state.container_id);
            tracing::warn!(container, error = %state.hook_error, "a poststop hook failed");
        }
        let next = State::from_shim(state);
        if !self.publish(container, next.clone()) {
            return;
        }
        // Published before it is written: nobody should wait for the disk.
        if let State::Exited(exit) = next {
            let id = container.record().id.clone();
            container::end::keep(self.machine.places.container_root(&id), &id, &exit).await;
        }
    }

    /// Makes a container's move and publishes it; false when the move is not allowed.
    fn publish(&self, container: &Arc<Container>, next: State) -> bool {
        // The reply to a start and the push of an end take different paths, so they are put in order here.
        let transaction = self.events.transaction();
        let was_running = container.is_running();
        if !container.move_to(next.clone()) {
            return false;
        }
        match next {
            State::Running { .. } => transaction.container_started(container),
            State::Exited(exit) => {
                if !was_running && exit.started_at.is_some() {
                    transaction.container_started(container);
                }
                transaction.container_stopped(container);
                let id = &container.record().id;
                tracing::info!(container = ids::short(id), code = exit.code, reason = %exit.reason, "container has ended");
            }
            State::Created | State::Starting => {}
        }
        true
    }

    /// Looks for a container's shim once; it may still be starting.
    async fn find(&self, container: &Container) -> Found {
        let run_dir = self.machine.places.container_run(&container.record().id);
        let mut out_of_reach = None;
        for _ in 0..COMING_TRIES {
            let (events, said) = mpsc::channel(shims::QUEUED_EVENTS);
            match Shim::connect(&run_dir, events).await {
                Ok(shim) => return Found::Shim(Connection { shim, said }),
                Err(shims::Error::NotThere(_)) if !self.is_coming(container, &run_dir) => return Found::Nothing,
                Err(shims::Error::NotThere(_)) => out_of_reach = None,
                Err(error) => out_of_reach = Some(error),
            }
            sleep(COMING_PAUSE).await;
        }
        // It was expected and did not appear, or it exists and is out of reach.
        out_of_reach.map_or(Found::Nothing, Found::OutOfReach)
    }

    /// Whether a shim that a killed daemon started is still starting: it is in its directory, but does not listen yet. One
    /// that is not even there loses its directory and exits, because nobody would know about the container that it starts.
    fn is_coming(&self, container: &Container, run_dir: &Path) -> bool {
        let unknown = matches!(self.state_on_disk(&container.record().id), Ok(None)) && !container.is_running();
        unknown
            && matches!(disk::blocking(|| std::fs::remove_dir(run_dir)), Err(e) if e.raw_os_error() == Some(libc::ENOTEMPTY))
    }

    /// Takes over a shim that was found, and asks it for the state; false when it comes too late.
    fn take_back(self: &Arc<Self>, container: &Arc<Container>, shim: &Shim) -> bool {
        // A shim exists because a start was requested. The state is set before the line: a waiter for the line reads it.
        container.move_to(State::Starting);
        if !container.change_line(|line| line.attach(shim.clone())) {
            return false;
        }
        let (keeper, container, shim) = (self.clone(), container.clone(), shim.clone());
        tokio::spawn(async move {
            match shim.state(shims::SETUP_DEADLINE).await {
                Ok(state) => {
                    warn_of_a_later_shim(&state);
                    keeper.said(&container, &state).await
                }
                Err(error @ shims::Error::TimedOut(_)) => keeper.end_hung_start(&container, &error).await,
                // The connection has ended; the task that follows it decides.
                Err(shims::Error::Gone(_)) => {}
                Err(error) => {
                    let id = &container.record().id;
                    tracing::error!(container = ids::short(id), %error, "cannot ask the shim for the container's state");
                }
            }
        });
        true
    }

    /// Gives up a start that an earlier daemon requested, as that daemon would have done after the same time.
    async fn end_hung_start(self: &Arc<Self>, container: &Arc<Container>, why: &shims::Error) {
        let id = container.record().id.clone();
        let short = ids::short(&id);
        match self.state_on_disk(&id) {
            // The start is done: the shim hangs in something else.
            Ok(Some(state)) if phase_of(&state) != Phase::Starting => return self.said(container, &state).await,
            Ok(_) => {}
            // The container may be running, which is not a reason to end it.
            Err(error) => {
                return tracing::error!(container = short, %error, "its shim hangs, and its state cannot be read");
            }
        }
        if container.state() == State::Starting {
            tracing::error!(container = short, error = %why, "a start does not finish; giving it up");
            // A failure is logged and retried.
            let _ = self.settle(container, Some(start_error(&why.to_string()))).await;
        }
    }

    /// Handles a container whose shim is gone: the state on disk is final. If that is not an end, the shim was killed.
    async fn gone(self: &Arc<Self>, container: &Arc<Container>) {
        let id = container.record().id.clone();
        match self.state_on_disk(&id) {
            Ok(Some(state)) if phase_of(&state) == Phase::Exited => {
                self.said(container, &state).await;
                return container.change_line(Line::find_nothing);
            }
            // It never got a start, or refused it before it made anything.
            Ok(None) if !container.is_running() => {
                container.back_to_created();
                return container.change_line(Line::find_nothing);
            }
            Ok(_) => {}
            Err(error) => tracing::error!(container = ids::short(&id), %error, "cannot read the container's state"),
        }
        if self.is_over(container) {
            return container.change_line(Line::find_nothing);
        }
        tracing::error!(container = ids::short(&id), "the container's shim died; ending the container");
        // A failure is logged and retried.
        let _ = self.settle(container, None).await;
    }

    /// Makes a one-off shim end what is left of a container, even if its own shim still exists and hangs, and applies the
    /// result. `end` is recorded if nobody observed the container's own end. A failure is retried in the background.
    ///
    /// - Cancel: the work continues.
    ///
    /// # Errors
    /// The one-off shim's failure: something of the container does not die.
    pub async fn settle(self: &Arc<Self>, container: &Arc<Container>, end: Option<wire::End>) -> Result<()> {
        while !container.change_line(Line::settle) {
            container.line_is(|line| !matches!(line, Line::Settling | Line::Starting(_))).await;
        }
        let (keeper, of) = (self.clone(), container.clone());
        let settling = tokio::spawn(async move { keeper.settle_now(&of, end).await }.in_current_span());
        settling.await.unwrap_or_else(|e| Err(crate::error::Error::internal(format!("settle the container: {e}"))))
    }

    /// Settles, for a caller that has set the line to `Settling`.
    async fn settle_now(self: &Arc<Self>, container: &Arc<Container>, end: Option<wire::End>) -> Result<()> {
        let settled = self.clean(container, end).await;
        container.change_line(|line| line.settled(settled.is_ok()));
        if let Err(error) = &settled {
            let id = container.record().id.clone();
            tracing::error!(container = ids::short(&id), %error, "cannot settle the container yet; retrying later");
            let (keeper, of) = (self.clone(), container.clone());
            tokio::spawn(async move { keeper.settle_later(&of).await });
        }
        settled
    }

    /// Retries until it works: a process that does not die now will die when its file system is back.
    async fn settle_later(&self, container: &Arc<Container>) {
        let mut pause = SETTLE_PAUSE;
        loop {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            // Another task has taken it over, or is settling it.
            if !container.look_at_line(|line| matches!(line, Line::Owing)) || !container.change_line(Line::settle) {
                return;
            }
            let settled = self.is_over(container) || self.clean(container, None).await.is_ok();
            container.change_line(|line| line.settled(settled));
            if settled {
                return;
            }
        }
    }

    async fn clean(&self, container: &Arc<Container>, end: Option<wire::End>) -> Result<()> {
        let record = container.record();
        let run_dir = self.machine.places.container_run(&record.id);
        // The directory may be gone with the state directory; the processes may still run.
        records::make_dir(&run_dir)?;
        let run_dir = run_dir.to_string_lossy().into_owned();
        let clean = CleanContainer {
            container_id: record.id.to_string(),
            cgroup: Some(self.machine.cgroup(&record.cgroup)),
            hooks: container::order::hooks::after_the_end(&record, &run_dir),
            run_dir,
            end,
        };
        let mut state = shims::clean_container(&self.machine.spawner, clean).await?;
        if phase_of(&state) != Phase::Exited {
            state.set_phase(Phase::Exited);
            state.exit_code = UNKNOWN_CODE;
            state.reason = UNKNOWN.into();
            state.finished_at_ns = clock::now_ns();
        }
        self.said(container, &state).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
