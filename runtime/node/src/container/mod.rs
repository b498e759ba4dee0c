// SPDX-License-Identifier: Apache-2.0
//! Containers: one file per CRI verb, the pure builder of what the shim is told ([`spec`]), and the [`Container`]
//! they work on.
//!
//! ```text
//!   CreateContainer      StartContainer           the process ends
//!  ────────────────▶ Created ──▶ Starting ──▶ Running ──▶ Exited ──RemoveContainer──▶ gone
//!                       │            │ fails                ▲
//!                       │            └──────────────────────┘ 128, StartError
//!                       └─RemoveContainer──▶ gone
//! ```
//!
//! `ROOT/containers/ID/record` is what was asked, written by the daemon; `STATE/containers/ID/state` is what is true,
//! written by the container's shim and only read here. `ROOT/containers/ID/end` is a copy of its end, for the time after a
//! restart of the machine ([`end`]). A Created container has no process and no kernel object.

pub mod create;
pub mod end;
pub mod exec;
pub mod force_stop;
mod image;
mod line;
mod precheck;
mod record;
pub mod remove;
pub mod reopen_log;
pub mod signal;
pub mod sources;
pub mod spec;
pub mod start;
mod state;
pub mod stop;
pub mod take_over;
pub mod update;
pub mod view;

pub use line::{Line, Up};
pub use record::{
    Image, ImageMount, Process, RECORD_KIND, RECORD_VERSION, Record, STATE_KIND, STATE_VERSION, read_state,
};
pub use state::time;
pub use state::{Exit, Identity, Reason, State};

use crate::error::{Error, Kind, Result};
use crate::ids::PodId;
use gorae_proto::cri;
use gorae_shims::Shim;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, oneshot, watch};

/// Commands of one container that have ended and left processes behind whose output is still read. More lose theirs.
pub const MOST_HELPERS: usize = 16;

/// One container.
#[derive(Debug)]
pub struct Container {
    record: Mutex<Arc<Record>>,
    state: watch::Sender<State>,
    line: watch::Sender<Line>,
    /// Held by the one verb that works on this container.
    pub verb: tokio::sync::Mutex<()>,
    /// One for each command that has ended and left a process behind that writes on.
    pub(crate) helpers: Arc<Semaphore>,
}

impl Container {
    /// A container in a state.
    pub fn new(record: Record, state: State) -> Arc<Self> {
        Arc::new(Self {
            record: Mutex::new(Arc::new(record)),
            state: watch::Sender::new(state),
            line: watch::Sender::default(),
            verb: tokio::sync::Mutex::new(()),
            helpers: Arc::new(Semaphore::new(MOST_HELPERS)),
        })
    }

    /// The identity by which kubelet repeats a request: one of the pod's containers, in one of its attempts.
    pub fn key(pod_id: &PodId, metadata: &cri::ContainerMetadata) -> String {
        format!("{pod_id}\0{}\0{}\0", metadata.name, metadata.attempt)
    }

    /// What was asked.
    pub fn record(&self) -> Arc<Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts changed resources in force; the record on disk is already written.
    pub(crate) fn set_record(&self, record: Arc<Record>) {
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = record;
    }

    /// A copy of the state.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Follows the state.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        matches!(*self.state.borrow(), State::Exited(_))
    }

    /// Whether its process runs.
    pub fn is_running(&self) -> bool {
        matches!(*self.state.borrow(), State::Running { .. })
    }

    /// Returns when its end is known, or when it is removed.
    pub async fn ended(&self) {
        // An error is the container's removal.
        let _ = self.watch().wait_for(|state| matches!(state, State::Exited(_))).await;
    }

    /// Makes a move; false when it is not one.
    pub(crate) fn move_to(&self, next: State) -> bool {
        self.state.send_if_modified(|now| {
            let allowed = now.may_become(&next);
            if allowed {
                *now = next;
            }
            allowed
        })
    }

    /// Starting → Created: the shim was never told.
    pub(crate) fn back_to_created(&self) {
        self.state.send_if_modified(|now| {
            let starting = matches!(now, State::Starting);
            if starting {
                *now = State::Created;
            }
            starting
        });
    }

    /// Changes the line; whoever waits for it looks again.
    pub(crate) fn change_line<T>(&self, change: impl FnOnce(&mut Line) -> T) -> T {
        let mut changed = None;
        self.line.send_modify(|line| changed = Some(change(line)));
        changed.expect("send_modify has called it")
    }

    /// Looks at the line.
    pub(crate) fn look_at_line<T>(&self, look: impl FnOnce(&Line) -> T) -> T {
        look(&self.line.borrow())
    }

    /// Returns when the line is as wanted.
    pub(crate) async fn line_is(&self, wanted: impl FnMut(&Line) -> bool) {
        // An error is the container's removal.
        let _ = self.line.subscribe().wait_for(wanted).await;
    }

    /// The connection to the shim, when there is one.
    pub fn shim_if_any(&self) -> Option<Shim> {
        self.look_at_line(|line| line.shim().cloned())
    }

    /// The connection to the shim of a running container.
    ///
    /// # Errors
    /// `FailedPrecondition` when it is not running, `Unavailable` while its shim cannot be asked.
    pub fn running_shim(&self) -> Result<Shim> {
        if !self.is_running() {
            return Err(Error::precondition(format!("the container is {}, not running", self.state().word())));
        }
        self.look_at_line(|line| line.shim().cloned().ok_or_else(|| Error::new(Kind::Unavailable, line.why_not())))
    }
}

/// A start that is under way here: what gives it up, and the end of it on every way out.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    container: &'a Container,
    given_up: oneshot::Receiver<()>,
}

impl<'a> Start<'a> {
    /// Begins a start; `None` when something else is under way with the container's shim.
    pub(crate) fn begin(container: &'a Container) -> Option<Self> {
        let (give_up, given_up) = oneshot::channel();
        let begun = container.change_line(|line| line.begin_start(give_up));
        begun.then_some(Self { container, given_up })
    }

    /// Resolves when the start is to be given up.
    pub(crate) async fn given_up(&mut self) {
        if (&mut self.given_up).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Start<'_> {
    fn drop(&mut self) {
        self.container.change_line(Line::end_start);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ids::ContainerId;
    use gorae_kernel::process::ProcessId;

    pub(crate) fn running() -> State {
        let process = ProcessId { pid: 7, start: 1 };
        State::Running { process, started_at: 1, identity: Identity::default() }
    }

    pub(crate) fn test_container(state: State) -> Arc<Container> {
        let record = Record {
            id: ContainerId::of_digit('a'),
            pod_id: PodId::of_digit('b'),
            config: cri::ContainerConfig::default(),
            created_at: 1,
            image: Image { id: String::new(), reference: String::new(), name: String::new(), layers: Vec::new() },
            process: Process {
                args: vec!["a".into()],
                env: Vec::new(),
                cwd: "/".into(),
                user: String::new(),
                group: String::new(),
                stop_signal: 15,
                volumes: Vec::new(),
            },
            log_path: None,
            cgroup: "/x".into(),
            image_mounts: Vec::new(),
            first_resources: None,
            cdi: Default::default(),
        };
        Container::new(record, state)
    }
}
