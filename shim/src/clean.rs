// SPDX-License-Identifier: Apache-2.0
//! `clean-container`: settles a container whose shim is gone, or hangs where no signal reaches it. Idempotent.

use crate::cgroup::{self, Place};
use crate::failure::Result;
use crate::hooks::{self, Hooks, Point};
use crate::malformed::{self, absolute, non_empty, required};
use crate::state;
use crate::sys;
use crate::wire::{CleanContainer, ContainerState, End, container_state::Phase};
use gorae_proto::PROTOCOL;
use gorae_proto::state::{UNKNOWN, UNKNOWN_CODE};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// How long to wait for a killed shim to exit.
const DYING: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// A container to settle: a checked [`CleanContainer`].
#[derive(Debug)]
pub struct Leftover {
    container_id: String,
    run_dir: PathBuf,
    cgroup: Place,
    hooks: Option<Hooks>,
    end: Option<End>,
}

impl Leftover {
    /// Checks the message.
    ///
    /// # Errors
    /// `InvalidArgument` with the first invalid field.
    pub fn checked(request: CleanContainer) -> Result<Self> {
        Ok(check(request)?)
    }
}

fn check(request: CleanContainer) -> malformed::Result<Leftover> {
    Ok(Leftover {
        container_id: required("container_id", non_empty(request.container_id))?,
        run_dir: absolute("run_dir", request.run_dir)?.into(),
        cgroup: Place::checked(required("cgroup", request.cgroup)?).map_err(|wrong| wrong.within("cgroup"))?,
        hooks: request.hooks.map(Hooks::checked).transpose().map_err(|wrong| wrong.within("hooks"))?,
        end: request.end,
    })
}

/// Kills the shim if it still runs, kills the remaining processes, removes the cgroup, and makes sure that there is an
/// EXITED record.
///
/// # Errors
/// `EBUSY` when a process of the container still runs: the record is only written when none does. `FailedPrecondition`, and
/// nothing is touched, when another program wrote the record.
pub fn clean(request: Leftover) -> Result<ContainerState> {
    let Leftover { container_id, run_dir, cgroup: place, hooks, end } = request;
    let run_dir = run_dir.as_path();
    // First the shim: it must not continue with a start, or write a record over ours.
    end_shim(state::read(run_dir)?.map_or(0, |known| known.shim_pid), &container_id);
    cgroup::kill(&place)?;
    cgroup::remove(&place)?;
    for name in ["shim.sock", "state.tmp"] {
        let _ = fs::remove_file(run_dir.join(name));
    }
    let told = state::read(run_dir)?.is_some_and(|s| s.phase() == Phase::Exited);
    let mut record = settle(run_dir, container_id, end)?;
    // A shim that recorded the end has run the hooks, or was killed while running them.
    let hooks = hooks.filter(|_| !told);
    let run = hooks.map_or(Ok(()), |hooks| hooks::run(&hooks, Point::Poststop, 0));
    if let Err(failure) = run {
        record.hook_error = failure.message;
        state::write(run_dir, &record)?;
    }
    Ok(record)
}

fn settle(run_dir: &Path, container_id: String, end: Option<End>) -> Result<ContainerState> {
    let known = state::read(run_dir)?;
    if let Some(exited) = known.as_ref().filter(|s| s.phase() == Phase::Exited) {
        return Ok(exited.clone());
    }
    let End { exit_code, reason, message } = end.unwrap_or_else(unseen);
    let record = ContainerState {
        phase: Phase::Exited.into(),
        container_id,
        exit_code,
        reason,
        message,
        finished_at_ns: gorae_kernel::clock::now_ns(),
        shim_pid: 0,
        stopping: None,
        protocol: PROTOCOL,
        ..known.unwrap_or_default()
    };
    state::write(run_dir, &record)?;
    Ok(record)
}

fn unseen() -> End {
    let message = "the container's shim ended before it could see the exit";
    End { exit_code: UNKNOWN_CODE, reason: UNKNOWN.into(), message: message.into() }
}

/// Sends SIGKILL to the container's shim. A shim that hangs in the kernel dies when it leaves the kernel, before it
/// does anything else; nothing waits for that.
fn end_shim(pid: u32, container_id: &str) {
    let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    // Open the handle before looking: the pid cannot be reused in between.
    let Ok(pidfd) = pidfd_open(raw, PidfdFlags::empty()) else { return };
    let line = fs::read(format!("/proc/{}/cmdline", pid)).unwrap_or_default();
    if line.ends_with(format!("\0container\0{container_id}\0").as_bytes()) {
        let _ = sys::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
        let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&DYING));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Kind;
    use crate::wire::{CgroupLayout, CgroupPlace};
    use gorae_proto::state::{KIND, VERSION};

    fn settled(dir: &Path, end: Option<End>) -> ContainerState {
        settle(dir, "c1".into(), end).unwrap()
    }

    #[test]
    fn a_running_record_becomes_exited_unknown_and_keeps_what_was_known() {
        let dir = tempfile::tempdir().unwrap();
        let running = ContainerState { phase: Phase::Running.into(), started_at_ns: 5, pid: 77, ..Default::default() };
        state::write(dir.path(), &running).unwrap();
        let first = settled(dir.path(), None);
        assert_eq!((first.phase(), first.exit_code, first.started_at_ns), (Phase::Exited, 255, 5));
        let end = End { exit_code: 137, ..Default::default() };
        assert_eq!(settled(dir.path(), Some(end)), first, "a second time changes nothing");
    }

    #[test]
    fn an_end_that_the_daemon_made_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let end = End { exit_code: 137, reason: String::new(), message: "its shim hangs".into() };
        let first = settled(dir.path(), Some(end));
        assert_eq!((first.exit_code, first.reason.as_str(), first.message.as_str()), (137, "", "its shim hangs"));
    }

    #[test]
    fn an_exited_record_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let exited = ContainerState { phase: Phase::Exited.into(), exit_code: 3, ..Default::default() };
        state::write(dir.path(), &exited).unwrap();
        assert_eq!(settled(dir.path(), None).exit_code, 3);
    }

    #[test]
    fn a_record_of_a_later_version_is_not_settled_over() {
        let dir = tempfile::tempdir().unwrap();
        let later = gorae_kernel::checked::encode(KIND, VERSION + 1, b"from the future");
        let files = [("state", &later[..]), ("shim.sock", b"")];
        files.iter().for_each(|(name, content)| fs::write(dir.path().join(name), content).unwrap());
        let request = CleanContainer {
            container_id: "c1".into(),
            run_dir: dir.path().to_string_lossy().into_owned(),
            cgroup: Some(CgroupPlace { layout: Some(CgroupLayout::default()), path: "/c1".into() }),
            ..CleanContainer::default()
        };
        let failure = clean(Leftover::checked(request).unwrap()).unwrap_err();
        assert_eq!(failure.kind(), Kind::FailedPrecondition, "{}", failure.message);
        files.iter().for_each(|(name, content)| assert_eq!(fs::read(dir.path().join(name)).unwrap(), *content));
        assert_eq!(settle(dir.path(), "c1".into(), None).unwrap_err().kind(), Kind::FailedPrecondition);
    }

    #[test]
    fn only_the_containers_own_shim_is_ended() {
        // This process's command line is not a shim's, so it survives.
        end_shim(std::process::id(), "c1");
        let script = "while :; do sleep 0.01; done";
        let mut shim = std::process::Command::new("sh").args(["-c", script, "container", "c1"]).spawn().unwrap();
        let begun = std::time::Instant::now();
        // The kernel shows a command line only some time after the spawn.
        while fs::read(format!("/proc/{}/cmdline", shim.id())).unwrap().is_empty() {
            assert!(begun.elapsed().as_secs() < 5, "it never has a command line");
        }
        end_shim(shim.id(), "c2");
        assert!(shim.try_wait().unwrap().is_none());
        end_shim(shim.id(), "c1");
        while shim.try_wait().unwrap().is_none() {
            assert!(begun.elapsed().as_secs() < 5, "it still runs");
        }
    }
}
