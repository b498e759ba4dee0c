// SPDX-License-Identifier: Apache-2.0
//! One more process in a container, from its start to its end.
//!
//! ```text
//! Exec ─> birth ─> Fault: running ─> reply ExecStarted ─> pidfd readable ─> reaped ─> push ExecExited
//!                       '─> failed ─> reply Failure                          '─ (timeout, EndExec) the whole tree is gone
//! ```
//! Its processes are in a sub-cgroup of the container's, so that a timeout kills the whole tree with one write.
//! Afterwards nothing is left: no descriptor, no zombie, no directory. The only exception are processes that a command
//! left behind when it exited by itself: they keep the directory until they exit.

mod birth;
mod life;
mod refusal;
mod request;

pub use life::{Ending, Life, Report};
pub use refusal::explained;
pub use request::Request;

use crate::descriptor::duplicate;
use crate::failure::{self, Kind, Result};
use crate::null;
use crate::program::Program;
use crate::setup::Container;
use crate::sys;
use crate::terminal;
use request::Streams;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long the report of an exec's end waits for its killed processes to disappear.
const TREE_PATIENCE: Duration = Duration::from_millis(100);

/// An exec, from the clone to the removal of its cgroup.
#[derive(Debug)]
pub struct Exec {
    /// Its number on the wire.
    pub id: u64,
    /// Its pid in the shim's namespace; the middle process's pid until its own is known.
    pub pid: i32,
    /// Readable once the middle process has ended; `None` once that is reaped.
    pub middle: Option<OwnedFd>,
    /// What is known of its process.
    pub life: Life,
    /// What its client has been told.
    pub report: Report,
    /// How it comes to its end, as far as decided.
    pub ending: Ending,
    /// The connection that requested it; its exit is reported there.
    pub client: u64,
    /// For the reply: the terminal's master.
    pub master: Option<OwnedFd>,
    /// For resizes: the other end.
    pub slave: Option<OwnedFd>,
    /// When to kill its tree.
    pub deadline: Option<Instant>,
    /// When to check again whether its cgroup is empty.
    pub retry_at: Option<Instant>,
    retry_pause: Duration,
}

/// Starts a process in the container. The watcher reports whether it started its program.
///
/// # Errors
/// `InvalidArgument` when descriptors are missing, `FailedPrecondition` for a terminal without devpts; otherwise the kernel's
/// error, with the step. Nothing of the exec is then left.
pub fn start(
    container: &Container,
    id: u64,
    (client, request): (u64, u64),
    asked: Request,
    descriptors: Vec<OwnedFd>,
) -> Result<Exec> {
    asked.check_descriptors(descriptors.len())?;
    let (streams, pair) = streams(container, asked.streams, descriptors)?;
    let (terminal, timeout) = (pair.is_some(), asked.timeout);
    let program = program_of(container, asked);
    let cgroup = container.cgroup.make_exec(id)?;
    let begun = birth::begin(container, &program, &streams, terminal, cgroup.as_ref()).inspect_err(|_| {
        container.cgroup.remove_exec(id);
    })?;
    let (master, slave) = pair.map_or((None, None), |pair| (Some(pair.master), Some(pair.slave)));
    Ok(Exec {
        id,
        pid: begun.pid,
        middle: Some(begun.pidfd),
        life: Life::Unborn(Some(begun.birth)),
        report: Report::Owed { request, watcher: begun.watcher },
        ending: Ending::Own,
        client,
        master,
        slave,
        deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
        retry_at: None,
        retry_pause: Duration::from_micros(200),
    })
}

fn program_of(container: &Container, asked: Request) -> Program {
    let mut program = container.program.clone();
    program.args = asked.args;
    if let Some(env) = asked.env {
        program.env = env;
    }
    if let Streams::Terminal(_) = asked.streams {
        program.set_default_term();
    }
    if let Some(cwd) = asked.cwd {
        program.cwd = cwd;
    }
    program
}

/// Returns stdin, stdout and stderr: the descriptors that were sent, the null device for the others, or a new terminal.
fn streams(
    container: &Container,
    asked: Streams,
    descriptors: Vec<OwnedFd>,
) -> Result<([OwnedFd; 3], Option<terminal::Terminal>)> {
    let named = match asked {
        Streams::Terminal(size) => {
            let devpts = container.devpts.as_ref().ok_or_else(|| {
                failure::refused(Kind::FailedPrecondition, "open terminal", "/dev/pts", "the container has none")
            })?;
            let pair = terminal::open(devpts, size)?;
            terminal::give_to(&pair.slave, container.host_uid)?;
            let dup = || duplicate(&pair.slave, "stream");
            return Ok(([dup()?, dup()?, dup()?], Some(pair)));
        }
        Streams::Sent { stdin, stdout, stderr } => [stdin, stdout, stderr],
    };
    let mut sent = descriptors.into_iter();
    let mut take = |named: bool| match if named { sent.next() } else { None } {
        Some(stream) => Ok(stream),
        None => null::open(&container.null, OFlags::RDWR),
    };
    let [stdin, stdout, stderr] = named;
    let streams = [take(stdin)?, take(stdout)?, take(stderr)?];
    for stream in &streams {
        terminal::give_to(stream, container.host_uid)?;
    }
    Ok((streams, None))
}

/// Opens a child of this process. Nothing else reaps it, so its pid cannot have been reused.
fn open_child(pid: i32) -> rustix::io::Result<OwnedFd> {
    let pidfd = pidfd_open(Pid::from_raw(pid).ok_or(Errno::CHILD)?, PidfdFlags::empty())?;
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::PidFd(pidfd.as_fd()), look).map(|_| pidfd)
}

impl Exec {
    /// Takes over the process once the middle process has reported its pid. True when that happens now: from then on
    /// the caller waits for the exit.
    ///
    /// - Shapes: `known` are the shim's other children.
    pub fn meet(&mut self, container: &Container, known: &[i32], now: Instant) -> bool {
        let Some(pid) = self.life.reported() else { return false };
        if known.contains(&pid) {
            // Not from the middle process: something in the container wrote this pid.
            self.life.distrust();
            return false;
        }
        self.adopt(pid, container, now)
    }

    /// Like [`Exec::meet`], for a stray process that was found. It is killed.
    pub fn adopt_stray(&mut self, pid: i32, container: &Container, now: Instant) -> bool {
        self.ending = self.ending.max(Ending::Killed);
        self.adopt(pid, container, now)
    }

    fn adopt(&mut self, pid: i32, container: &Container, now: Instant) -> bool {
        match open_child(pid) {
            Ok(pidfd) => {
                self.pid = pid;
                self.life.begin(pidfd);
            }
            // Not from the middle process: something in the container wrote this pid.
            Err(Errno::CHILD | Errno::SRCH) => self.life.distrust(),
            Err(_) => self.look_again(now),
        }
        if self.ending >= Ending::Killed {
            self.kill(container);
        }
        self.life.pidfd().is_some()
    }

    /// Schedules a check of a state that no event reports, less and less often.
    pub fn look_again(&mut self, now: Instant) {
        self.retry_at = Some(now + self.retry_pause);
        self.retry_pause = (self.retry_pause * 2).min(Duration::from_secs(600));
    }

    /// Brings it to its end in this way, or in a stronger one that was decided earlier.
    pub fn end(&mut self, ending: Ending, container: &Container) {
        self.ending = self.ending.max(ending);
        self.kill(container);
    }

    /// Sends SIGKILL to the whole tree, or only to its own processes where no cgroup2 exists for that.
    fn kill(&self, container: &Container) {
        if container.cgroup.kill_exec(self.id).is_err() {
            for pidfd in self.middle.iter().chain(self.life.pidfd()) {
                let _ = sys::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
            }
        }
    }

    /// Records that the process has been reaped.
    pub fn ended(&mut self, container: &Container, exit_code: i32, now: Instant) {
        self.life.end(exit_code, now);
        self.deadline = None;
        // Closes the shim's end of the terminal, so that the master's reader gets end of file.
        self.slave = None;
        if !container.cgroup.remove_exec(self.id) {
            if self.ending.takes_tree() {
                self.kill(container);
            }
            self.retry_at = Some(now + self.retry_pause);
        }
    }

    /// Checks again whether the cgroup is empty.
    pub fn retry(&mut self, container: &Container, now: Instant) {
        if container.cgroup.remove_exec(self.id) {
            self.retry_at = None;
            return;
        }
        self.look_again(now);
    }

    /// Its exit code, if its end can be reported: its start was reported, the process is reaped, and the processes that
    /// are killed with it are gone or have been waited for long enough.
    pub fn to_tell(&self, now: Instant) -> Option<i32> {
        let (Life::Ended { exit_code, at }, Report::Started) = (&self.life, &self.report) else { return None };
        let waits_for_tree = self.ending.takes_tree() && self.retry_at.is_some();
        (!waits_for_tree || now >= *at + TREE_PATIENCE).then_some(*exit_code)
    }

    /// Whether nothing is left except, perhaps, a cgroup that still holds processes.
    pub fn is_over(&self) -> bool {
        self.life.has_ended() && self.middle.is_none() && matches!(self.report, Report::Done)
    }

    /// Whether its cgroup has yet to be removed.
    pub fn has_cgroup(&self) -> bool {
        self.retry_at.is_some()
    }

    /// When its next action is due.
    pub fn next_time(&self) -> Option<Instant> {
        self.deadline.into_iter().chain(self.retry_at).min()
    }
}
