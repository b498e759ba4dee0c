// SPDX-License-Identifier: Apache-2.0
//! The states of a container, and the moves between them.

use super::exit::{Exit, Identity};
use gorae_kernel::process::ProcessId;
use gorae_proto::shim::{ContainerState, container_state::Phase};

/// The state of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It has only a record.
    Created,
    /// Its shim is making it.
    Starting,
    /// Its process is running.
    Running {
        /// Its first process; `None` if its shim could not identify it.
        process: Option<ProcessId>,
        /// Wall clock, nanoseconds.
        started_at: i64,
        /// The user and groups that it runs as.
        identity: Identity,
    },
    /// Its process has ended, or could not be started.
    Exited(Exit),
}

impl State {
    /// The shim's record in the daemon's terms.
    pub fn from_shim(state: &ContainerState) -> Self {
        match phase_of(state) {
            Phase::Starting => Self::Starting,
            Phase::Running => Self::Running {
                process: ProcessId::from_wire(state.pid, state.pid_start_ticks),
                started_at: state.started_at_ns,
                identity: Identity::from_shim(state),
            },
            Phase::Exited => Self::Exited(Exit::from_shim(state)),
        }
    }

    /// Whether a container may go from this state to the next: an exit is final, and no state is entered twice.
    pub fn may_become(&self, next: &Self) -> bool {
        !matches!(
            (self, next),
            (Self::Exited(_), _)
                | (_, Self::Created)
                | (Self::Running { .. }, Self::Running { .. } | Self::Starting)
                | (Self::Starting, Self::Starting)
        )
    }

    /// The state in one word, for messages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Starting => "starting",
            Self::Running { .. } => "running",
            Self::Exited(_) => "exited",
        }
    }
}

/// The phase that a shim reports. One that a later version added is a kind of running: before the start and after the end there
/// is nothing to add, and a container that lives must not be taken for one whose start hangs.
pub fn phase_of(state: &ContainerState) -> Phase {
    Phase::try_from(state.phase).unwrap_or(Phase::Running)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::fixtures::running;

    #[test]
    fn every_pair_of_states_is_a_move_or_is_not() {
        let all = [State::Created, State::Starting, running(), State::Exited(Exit::lost(Some(1), "x"))];
        // Rows: from; columns: to.
        let table = [
            [false, true, true, true],
            [false, false, true, true],
            [false, false, false, true],
            [false, false, false, false],
        ];
        for (from, row) in all.iter().zip(table) {
            for (to, allowed) in all.iter().zip(row) {
                assert_eq!(from.may_become(to), allowed, "{} to {}", from.word(), to.word());
            }
        }
    }

    #[test]
    fn a_phase_of_a_later_version_is_a_running_container() {
        let paused = ContainerState { phase: 9, pid: 7, pid_start_ticks: 8, ..ContainerState::default() };
        let State::Running { process, .. } = State::from_shim(&paused) else { panic!("it lives") };
        assert_eq!(process.map(|process| (process.pid(), process.start())), Some((7, 8)));
    }

    #[test]
    fn a_container_whose_process_is_not_identified_runs_all_the_same() {
        let unknown = ContainerState { phase: Phase::Running.into(), pid: 7, ..ContainerState::default() };
        assert!(matches!(State::from_shim(&unknown), State::Running { process: None, .. }));
    }
}
