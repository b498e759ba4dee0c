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
pub mod outside;
pub mod remove;
pub mod reopen_log;
pub mod signal;
pub mod sources;
pub mod spec;
pub mod start;
pub mod stop;
pub mod take_over;
pub mod update;
pub mod view;

use crate::error::{Error, Kind, Result};
use crate::records;
use gorae_proto::cri;
use gorae_proto::shim::{self, container_state::Phase};
use gorae_shims::Shim;
use prost::Message;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, oneshot, watch};

/// Version of the container record.
pub const RECORD_VERSION: u32 = 1;
/// Kind of the container record.
pub const RECORD_KIND: &str = "container";
/// Version and kind of the shim's state record.
pub const STATE_VERSION: u32 = 1;
/// Kind of the shim's state record.
pub const STATE_KIND: &str = "state";

/// The shim's state record below a container's run directory; `None` when there is none.
///
/// # Errors
/// As [`records::read`].
pub fn read_state(run_dir: &Path) -> Result<Option<shim::ContainerState>> {
    records::read_with(&run_dir.join("state"), STATE_KIND, STATE_VERSION, |body| shim::ContainerState::decode(body))
}

/// What was asked, and what it was resolved to. Only UpdateContainerResources changes it, and only the resources.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// 64 hex digits.
    pub id: String,
    /// The pod's id.
    pub pod_id: String,
    /// The request; `linux.resources` is what is in force.
    pub config: cri::ContainerConfig,
    /// Wall clock, nanoseconds.
    pub created_at: i64,
    /// The image, as it was at create: it may be gone later.
    pub image: Image,
    /// Command, environment and so on, the image's defaults filled in.
    pub process: Process,
    /// Absolute path of the log; empty for none.
    pub log_path: String,
    /// The container's cgroup, below each mount point.
    pub cgroup: String,
    /// Image volumes of the request, by index of the mount.
    pub image_mounts: Vec<ImageMount>,
    /// The request's `linux.resources`, once they were changed.
    #[serde(default)]
    pub first_resources: Option<cri::ContainerResources>,
    /// What its CDI devices do to it; the variables among it are in `process` already.
    #[serde(default)]
    pub cdi: gorae_cdi::Edits,
}

/// The image of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Image {
    /// `sha256:…` of the image config.
    pub id: String,
    /// `repository@digest`, or the id when none is known.
    pub reference: String,
    /// First tag, or what the request said.
    pub name: String,
    /// Layer directories, top first.
    pub layers: Vec<PathBuf>,
}

/// An image mounted as a volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImageMount {
    /// Index in the request's mounts.
    pub index: usize,
    /// The image's id.
    pub id: String,
    /// Layer directories, top first.
    pub layers: Vec<PathBuf>,
}

/// What runs, resolved from request and image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    /// At least one.
    pub args: Vec<String>,
    /// `KEY=VALUE`; values are bytes.
    pub env: Vec<Vec<u8>>,
    /// Absolute.
    pub cwd: String,
    /// User part, name or number; empty means root.
    pub user: String,
    /// Group part, name or number; empty means the user's.
    pub group: String,
    /// Signal number that asks it to end.
    pub stop_signal: i32,
    /// Paths that the image declares as volumes.
    pub volumes: Vec<String>,
}

/// Who the process runs as, as the shim found in the image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups with the primary one.
    pub gids: Vec<u32>,
}

/// Where a container is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Only a record.
    Created,
    /// Its shim is making it.
    Starting,
    /// Its process runs.
    Running {
        /// In the daemon's pid namespace.
        pid: u32,
        /// Field 22 of its stat, tells a reused pid.
        start_ticks: u64,
        /// Wall clock, nanoseconds.
        started_at: i64,
        /// Who it runs as.
        identity: Identity,
    },
    /// Its process has ended, or could not be started.
    Exited(Exit),
}

/// The end of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// 0..255; 128 + n after signal n.
    pub code: i32,
    /// `Completed`, `Error`, `OOMKilled`, `StartError`, `Unknown`.
    pub reason: String,
    /// Text for people; empty when the code says it all.
    pub message: String,
    /// 0 when it never ran.
    pub started_at: i64,
    /// Wall clock, nanoseconds.
    pub finished_at: i64,
    /// Who it ran as; `None` when it never ran.
    pub identity: Option<Identity>,
}

impl State {
    /// The shim's record in the daemon's terms.
    pub fn from_shim(state: &shim::ContainerState) -> Self {
        let identity = Identity { uid: state.uid, gid: state.gid, gids: state.gids.clone() };
        match state.phase() {
            Phase::Starting => Self::Starting,
            Phase::Running => Self::Running {
                pid: state.pid,
                start_ticks: state.pid_start_ticks,
                started_at: state.started_at_ns,
                identity,
            },
            Phase::Exited => Self::Exited(Exit {
                code: state.exit_code,
                reason: exit_reason(state),
                message: state.message.clone(),
                started_at: state.started_at_ns,
                finished_at: state.finished_at_ns.max(1),
                identity: (state.started_at_ns > 0).then_some(identity),
            }),
        }
    }

    /// The word for people.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Starting => "starting",
            Self::Running { .. } => "running",
            Self::Exited(_) => "exited",
        }
    }
}

impl Exit {
    /// The end that nobody saw, noticed now.
    pub fn lost(started_at: i64, why: &str) -> Self {
        Self {
            code: 255,
            reason: "Unknown".into(),
            message: why.into(),
            started_at,
            finished_at: crate::clock::now_ns(),
            identity: None,
        }
    }
}

fn exit_reason(state: &shim::ContainerState) -> String {
    if !state.reason.is_empty() {
        return state.reason.clone();
    }
    let reason = match (state.oom_killed, state.exit_code) {
        (true, _) => "OOMKilled",
        (false, 0) => "Completed",
        (false, _) => "Error",
    };
    reason.to_owned()
}

/// One container.
#[derive(Debug)]
pub struct Container {
    record: Mutex<Arc<Record>>,
    state: watch::Sender<State>,
    shim: Mutex<Option<Shim>>,
    /// Set while a start is under way here: what gives it up.
    starting: Mutex<Option<oneshot::Sender<()>>>,
    /// What the shim last said about a stop that does not finish.
    pub stuck: Mutex<String>,
    /// Held by the one verb that works on this container.
    pub verb: tokio::sync::Mutex<()>,
    /// One for each command that has ended and left a process behind that writes on.
    pub(crate) helpers: Arc<Semaphore>,
    /// Held by the one that looks for the shim.
    pub(crate) connecting: tokio::sync::Mutex<()>,
    /// Held by the one that settles the container without its shim.
    pub(crate) cleaning: tokio::sync::Mutex<()>,
    /// Somebody tries again and again to settle it.
    pub(crate) retrying: AtomicBool,
    /// Somebody tries again and again to reach its shim.
    pub(crate) searching: AtomicBool,
}

impl Container {
    /// A container in a state.
    pub fn new(record: Record, state: State) -> Arc<Self> {
        Arc::new(Self {
            record: Mutex::new(Arc::new(record)),
            state: watch::Sender::new(state),
            shim: Mutex::new(None),
            starting: Mutex::default(),
            stuck: Mutex::default(),
            verb: tokio::sync::Mutex::new(()),
            helpers: Arc::new(Semaphore::new(exec::MOST_OF_A_CONTAINER)),
            connecting: tokio::sync::Mutex::new(()),
            cleaning: tokio::sync::Mutex::new(()),
            retrying: AtomicBool::new(false),
            searching: AtomicBool::new(false),
        })
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

    /// Makes a move; false when it is none: an exit is final, and nothing comes twice.
    pub(crate) fn move_to(&self, next: State) -> bool {
        self.state.send_if_modified(|now| {
            let allowed = !matches!(
                (&*now, &next),
                (State::Exited(_), _)
                    | (_, State::Created)
                    | (State::Running { .. }, State::Running { .. } | State::Starting)
                    | (State::Starting, State::Starting)
            );
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

    /// Says that a start is under way; what is returned resolves to `Ok` when it is to be given up.
    pub(crate) fn begin_start(&self) -> oneshot::Receiver<()> {
        let (give_up, given_up) = oneshot::channel();
        *self.starting.lock().unwrap_or_else(PoisonError::into_inner) = Some(give_up);
        given_up
    }

    /// Has the start that is under way here given up; false when there is none.
    pub(crate) fn give_up_start(&self) -> bool {
        let start = self.starting.lock().unwrap_or_else(PoisonError::into_inner).take();
        start.is_some_and(|start| start.send(()).is_ok())
    }

    /// Whether a start is under way here.
    pub(crate) fn is_starting_here(&self) -> bool {
        self.starting.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|start| !start.is_closed())
    }

    /// Remembers the connection to the shim.
    pub(crate) fn set_shim(&self, shim: Shim) {
        *self.shim.lock().unwrap_or_else(PoisonError::into_inner) = Some(shim);
    }

    /// Forgets a connection that has ended; false when there is another one by now.
    pub(crate) fn forget_shim(&self, ended: &Shim) -> bool {
        let mut shim = self.shim.lock().unwrap_or_else(PoisonError::into_inner);
        let same = shim.as_ref().is_none_or(|shim| shim.is(ended));
        if same {
            *shim = None;
        }
        same
    }

    /// The connection to the shim, when there is one.
    pub fn shim_if_any(&self) -> Option<Shim> {
        self.shim.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The connection to the shim of a running container.
    ///
    /// # Errors
    /// `FailedPrecondition` when it is not running, `Unavailable` while the shim is being reconnected.
    pub fn running_shim(&self) -> Result<Shim> {
        match self.state() {
            State::Running { .. } => self
                .shim_if_any()
                .ok_or_else(|| Error::new(Kind::Unavailable, "the container's shim is being reconnected; try again")),
            other => Err(Error::precondition(format!("the container is {}, not running", other.word()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn running() -> State {
        State::Running { pid: 7, start_ticks: 1, started_at: 1, identity: Identity::default() }
    }

    pub(super) fn test_container(state: State) -> Arc<Container> {
        let record = Record {
            id: "a".repeat(64),
            pod_id: "b".repeat(64),
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
            log_path: String::new(),
            cgroup: "/x".into(),
            image_mounts: Vec::new(),
            first_resources: None,
            cdi: Default::default(),
        };
        Container::new(record, state)
    }

    #[test]
    fn every_pair_of_states_is_a_move_or_is_not() {
        let all = [State::Created, State::Starting, running(), State::Exited(Exit::lost(1, "x"))];
        // Rows: from; columns: to.
        let table = [
            [false, true, true, true],
            [false, false, true, true],
            [false, false, false, true],
            [false, false, false, false],
        ];
        for (from, row) in all.iter().zip(table) {
            for (to, allowed) in all.iter().zip(row) {
                let container = test_container(from.clone());
                assert_eq!(container.move_to(to.clone()), allowed, "{} to {}", from.word(), to.word());
            }
        }
    }

    #[test]
    fn the_reason_follows_from_code_and_oom() {
        let exit = |code, oom_killed, reason: &str| {
            let state = shim::ContainerState {
                phase: Phase::Exited.into(),
                exit_code: code,
                oom_killed,
                reason: reason.into(),
                ..Default::default()
            };
            match State::from_shim(&state) {
                State::Exited(exit) => exit.reason,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(exit(0, false, ""), "Completed");
        assert_eq!(exit(3, false, ""), "Error");
        assert_eq!(exit(137, true, ""), "OOMKilled");
        assert_eq!(exit(128, false, "StartError"), "StartError");
    }
}
