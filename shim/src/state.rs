// SPDX-License-Identifier: Apache-2.0
//! The container's state record: its current state, which is written to disk before it is pushed to any client.
//!
//! ```text
//! STARTING -> RUNNING -> EXITED
//!     '--------------------^        the start failed: code 128, reason StartError
//! ```
//! `RUN_DIR/state` is one checked record, replaced by rename. Its only writers are the container's shim and, once that is
//! gone, `clean-container`.

use crate::failure::{self, Failure, Kind, Result};
use crate::hooks::{self, Hooks, Point};
use crate::user::User;
use crate::wire::{ContainerState, container_state::Phase};
use gorae_kernel::checked::{self, Foreign, Unusable};
use gorae_kernel::clock::now_ns;
use gorae_kernel::process::ProcessId;
use gorae_kernel::record_file::{self, Durability};
use gorae_proto::PROTOCOL;
use gorae_proto::state::{KIND, START_ERROR, START_ERROR_CODE, VERSION};
use prost::Message;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The largest file that is read: far more than the longest message and all groups of a user.
const MAX_RECORD: u64 = 16 << 20;

/// The record and the directory that it is kept in.
#[derive(Debug)]
pub struct State {
    record: ContainerState,
    run_dir: PathBuf,
}

impl State {
    /// A container that is being started; nothing is written yet.
    pub fn starting(container_id: &str, run_dir: &str) -> Self {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim_end().to_owned();
        let record = ContainerState {
            phase: Phase::Starting.into(),
            container_id: container_id.into(),
            boot_id,
            shim_pid: std::process::id(),
            protocol: PROTOCOL,
            ..ContainerState::default()
        };
        Self { record, run_dir: PathBuf::from(run_dir) }
    }

    /// The current record.
    pub fn record(&self) -> &ContainerState {
        &self.record
    }

    /// The directory of the record.
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// Changes the record and writes it.
    ///
    /// # Errors
    /// The kernel's error, with the file. The record in memory is changed all the same.
    pub fn change(&mut self, change: impl FnOnce(&mut ContainerState)) -> Result<()> {
        change(&mut self.record);
        write(&self.run_dir, &self.record)
    }

    /// Runs the poststop hooks. Their failure affects nothing else; it is recorded for the daemon's log.
    pub fn poststop(&mut self, hooks: &Hooks) {
        if let Err(failure) = hooks::run(hooks, Point::Poststop, 0) {
            // It does not matter any more if the record cannot be written.
            let _ = self.change(|record| record.hook_error = failure.message);
        }
    }

    /// Moves from STARTING to RUNNING.
    ///
    /// # Errors
    /// As [`Self::change`].
    pub fn running(&mut self, pid: i32, user: &User) -> Result<()> {
        // Should it not be readable, the container runs all the same, and is not identified by its pid.
        let process = ProcessId::of(pid as u32).ok().flatten();
        self.change(|record| {
            (record.uid, record.gid, record.gids) = (user.uid, user.gid, user.gids.clone());
            record.phase = Phase::Running.into();
            record.pid = pid as u32;
            record.pid_start_ticks = process.map_or(0, |process| process.start());
            record.started_at_ns = now_ns();
        })
    }

    /// Moves to EXITED, for a start that failed.
    ///
    /// # Errors
    /// As [`Self::change`].
    pub fn start_failed(&mut self, why: &Failure) -> Result<()> {
        self.change(|record| {
            record.phase = Phase::Exited.into();
            record.finished_at_ns = now_ns();
            record.exit_code = START_ERROR_CODE;
            record.reason = START_ERROR.into();
            record.message = why.message.clone();
            record.pid = 0;
        })
    }
}

/// Reads the record of a container; `None` if it is missing or damaged.
///
/// # Errors
/// `FailedPrecondition` when another program wrote the record: nothing that it describes may be changed. The kernel's error
/// when it cannot be read.
pub fn read(run_dir: &Path) -> Result<Option<ContainerState>> {
    let path = run_dir.join(KIND);
    let bytes = match record_file::read_bounded(&path, MAX_RECORD) {
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        other => other.map_err(|e| failure::kernel("read record", path.display().to_string(), e))?,
    };
    let Some(bytes) = bytes else { return Ok(None) };
    match checked::read(&path, KIND, VERSION, &bytes, |body| ContainerState::decode(body)) {
        Ok(record) => Ok(Some(record)),
        Err(Unusable::Damaged(_)) => Ok(None),
        Err(Unusable::Foreign(foreign)) => Err(failure_of(&foreign)),
    }
}

/// The text of `foreign` begins with its path.
fn failure_of(foreign: &Foreign) -> Failure {
    Failure {
        kind: Kind::FailedPrecondition.into(),
        step: "read record".into(),
        object: foreign.path.display().to_string(),
        errno: 0,
        message: format!("read record {foreign}"),
    }
}

/// Replaces the record.
///
/// # Errors
/// The kernel's error, with the file; the old record is then still in place.
pub fn write(run_dir: &Path, record: &ContainerState) -> Result<()> {
    let bytes = checked::encode(KIND, VERSION, &record.encode_to_vec());
    record_file::replace(run_dir, KIND, &bytes, Durability::Process)
        .map_err(|e| failure::kernel("write", run_dir.join(KIND).display().to_string(), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_a_damaged_or_missing_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let mut state = State::starting("c1", dir.path().to_str().unwrap());
        assert_eq!(read(dir.path()), Ok(None));
        state.running(std::process::id() as i32, &User::default()).unwrap();
        let back = read(dir.path()).unwrap().unwrap();
        assert_eq!(&back, state.record());
        assert!(back.pid_start_ticks > 0 && back.started_at_ns > 0);
        assert_eq!(back.protocol, PROTOCOL);
        fs::write(dir.path().join("state"), b"gorae state 1 4 00000000\nabcd").unwrap();
        assert_eq!(read(dir.path()), Ok(None));
    }

    #[test]
    fn a_record_of_another_program_and_one_that_cannot_be_read_are_not_taken_for_missing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        for record in [checked::encode(KIND, VERSION + 1, b""), checked::encode(KIND, VERSION, b"\xff")] {
            fs::write(&path, record).unwrap();
            let failure = read(dir.path()).unwrap_err();
            assert_eq!(failure.kind(), Kind::FailedPrecondition);
            let start = format!("read record {}: this record is intact", path.display());
            assert!(failure.message.starts_with(&start), "{}", failure.message);
        }
        let file = dir.path().join("state");
        assert_eq!(read(&file).unwrap_err().errno, libc::ENOTDIR);
    }
}
