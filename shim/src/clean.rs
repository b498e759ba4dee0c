// SPDX-License-Identifier: Apache-2.0
//! `clean-container`: settles a container whose shim is gone. Idempotent.

use crate::cgroup;
use crate::failure::{self, Kind, Result};
use crate::hooks;
use crate::state;
use crate::wire::{CleanContainer, ContainerState, container_state::Phase};
use std::fs;
use std::path::Path;

/// Kills what is left, removes the cgroup, and makes sure that there is an EXITED record.
///
/// - Errors: the record is only written when nothing of the container runs any more: `EBUSY` otherwise.
pub fn clean(request: &CleanContainer) -> Result<ContainerState> {
    let place = request.cgroup.as_ref();
    let place =
        place.ok_or_else(|| failure::refused(Kind::InvalidArgument, "check request", "cgroup", "is missing"))?;
    cgroup::kill(place)?;
    cgroup::remove(place)?;
    let run_dir = Path::new(&request.run_dir);
    for name in ["shim.sock", "state.new"] {
        let _ = fs::remove_file(run_dir.join(name));
    }
    let told = state::read(run_dir).is_some_and(|s| s.phase() == Phase::Exited);
    let mut record = settle(run_dir, &request.container_id)?;
    // A shim that could record the end has run them, or was killed while it did.
    let hooks = request.hooks.as_ref().filter(|_| !told);
    let run = hooks.map_or(Ok(()), |hooks| hooks::run_here(hooks, "poststop", "stopped", 0));
    if let Err(failure) = run {
        record.hook_error = failure.message;
        state::write(run_dir, &record)?;
    }
    Ok(record)
}

fn settle(run_dir: &Path, container_id: &str) -> Result<ContainerState> {
    let known = state::read(run_dir);
    if let Some(exited) = known.as_ref().filter(|s| s.phase() == Phase::Exited) {
        return Ok(exited.clone());
    }
    let record = ContainerState {
        phase: Phase::Exited.into(),
        container_id: container_id.into(),
        exit_code: state::UNKNOWN_CODE,
        reason: "Unknown".into(),
        message: "the container's shim ended before it could see the exit".into(),
        finished_at_ns: state::now_ns(),
        shim_pid: 0,
        stopping: None,
        ..known.unwrap_or_default()
    };
    state::write(run_dir, &record)?;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_record_becomes_exited_unknown_and_keeps_what_was_known() {
        let dir = tempfile::tempdir().unwrap();
        let running = ContainerState { phase: Phase::Running.into(), started_at_ns: 5, pid: 77, ..Default::default() };
        state::write(dir.path(), &running).unwrap();
        let settled = settle(dir.path(), "c1").unwrap();
        assert_eq!((settled.phase(), settled.exit_code, settled.started_at_ns), (Phase::Exited, 255, 5));
        assert_eq!(settle(dir.path(), "c1").unwrap(), settled, "a second time changes nothing");
    }

    #[test]
    fn an_exited_record_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let exited = ContainerState { phase: Phase::Exited.into(), exit_code: 3, ..Default::default() };
        state::write(dir.path(), &exited).unwrap();
        assert_eq!(settle(dir.path(), "c1").unwrap().exit_code, 3);
    }
}
