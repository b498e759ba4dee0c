// SPDX-License-Identifier: Apache-2.0
//! One container: its record, its state, and the line to its shim.

use super::line::Line;
use super::record::Record;
use super::state::State;
use crate::error::{Error, Kind, Result};
use crate::ids::PodId;
use gorae_proto::cri;
use gorae_shims::Shim;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, watch};

/// The most commands of one container that have ended and whose background processes still have their output read.
pub const MOST_HELPERS: usize = 16;

/// One container.
#[derive(Debug)]
pub struct Container {
    record: Mutex<Arc<Record>>,
    state: watch::Sender<State>,
    line: watch::Sender<Line>,
    /// Held by the verb that works on this container.
    pub verb: tokio::sync::Mutex<()>,
    /// One permit for each command that has ended and left a process that still writes.
    pub(crate) helpers: Arc<Semaphore>,
}

impl Container {
    /// Makes a container with this record, in this state.
    pub fn new(record: Record, state: State) -> Arc<Self> {
        Arc::new(Self {
            record: Mutex::new(Arc::new(record)),
            state: watch::Sender::new(state),
            line: watch::Sender::default(),
            verb: tokio::sync::Mutex::new(()),
            helpers: Arc::new(Semaphore::new(MOST_HELPERS)),
        })
    }

    /// The identity that kubelet's retries share: pod, name and attempt.
    pub fn key(pod_id: &PodId, metadata: &cri::ContainerMetadata) -> String {
        format!("{pod_id}\0{}\0{}\0", metadata.name, metadata.attempt)
    }

    /// The request, and what it was resolved to.
    pub fn record(&self) -> Arc<Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the record after its resources were changed; the record on disk is already written.
    pub(crate) fn set_record(&self, record: Arc<Record>) {
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = record;
    }

    /// A copy of the state.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Subscribes to changes of the state.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        matches!(*self.state.borrow(), State::Exited(_))
    }

    /// Whether its process is running.
    pub fn is_running(&self) -> bool {
        matches!(*self.state.borrow(), State::Running { .. })
    }

    /// Whether its shim has reported that a stop does not finish.
    pub fn is_stuck(&self) -> bool {
        self.look_at_line(|line| line.stuck().is_some())
    }

    /// Returns when its end is known, or when the container is removed.
    pub async fn ended(&self) {
        // An error means that the container was removed.
        let _ = self.watch().wait_for(|state| matches!(state, State::Exited(_))).await;
    }

    /// Moves to another state; false when the move is not allowed.
    pub(crate) fn move_to(&self, next: State) -> bool {
        self.state.send_if_modified(|now| {
            let allowed = now.may_become(&next);
            if allowed {
                *now = next;
            }
            allowed
        })
    }

    /// Moves from Starting back to Created, when the shim never got the order.
    pub(crate) fn back_to_created(&self) {
        self.state.send_if_modified(|now| {
            let starting = matches!(now, State::Starting);
            if starting {
                *now = State::Created;
            }
            starting
        });
    }

    /// Changes the line and wakes the tasks that wait for it.
    pub(crate) fn change_line<T>(&self, change: impl FnOnce(&mut Line) -> T) -> T {
        let mut changed = None;
        self.line.send_modify(|line| changed = Some(change(line)));
        changed.expect("send_modify has called it")
    }

    /// Reads the line.
    pub(crate) fn look_at_line<T>(&self, look: impl FnOnce(&Line) -> T) -> T {
        look(&self.line.borrow())
    }

    /// Returns when the line meets the condition, or when the container is removed.
    pub(crate) async fn line_is(&self, wanted: impl FnMut(&Line) -> bool) {
        // An error means that the container was removed.
        let _ = self.line.subscribe().wait_for(wanted).await;
    }

    /// The connection to the shim, if there is one.
    pub fn shim_if_any(&self) -> Option<Shim> {
        self.look_at_line(|line| line.shim().cloned())
    }

    /// The connection to the shim of a running container.
    ///
    /// # Errors
    /// `FailedPrecondition` when it is not running, `Unavailable` while its shim cannot be called.
    pub fn running_shim(&self) -> Result<Shim> {
        if !self.is_running() {
            return Err(Error::precondition(format!("the container is {}, not running", self.state().word())));
        }
        self.look_at_line(|line| line.callable().cloned().map_err(|why| Error::new(Kind::Unavailable, why)))
    }
}
