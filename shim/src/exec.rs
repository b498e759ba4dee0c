// SPDX-License-Identifier: Apache-2.0
//! One process more in the container, and its end.
//!
//! ```text
//! Exec ─> clone3 ─> Fault: running ─> reply ExecStarted ─> pidfd readable ─> reaped ─> tree gone ─> push ExecExited
//!                        '─> failed ─> reply Failure                          '─ (kill_tree_at_exit) SIGKILL of the rest
//! ```
//! Its processes are in a sub-cgroup of the container's, so that a timeout or a lingering grandchild ends with one
//! write. Nothing of it is left afterwards: no descriptor, no zombie, no directory.

use crate::devices;
use crate::failure::{self, Failure, Kind, Result};
use crate::fault::{self, Reporter, Watcher};
use crate::program::{self, Program};
use crate::setup::Container;
use crate::sys::{self, Forked};
use crate::terminal;
use crate::wire;
use rustix::thread::move_into_thread_name_spaces;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long the end of an exec is held back for its killed processes to be gone.
const TREE_PATIENCE: Duration = Duration::from_millis(100);
/// `PF_EXITING`, of the flags in /proc/PID/stat.
const EXITING: u32 = 4;

/// An exec, from the clone to the removal of its cgroup.
#[derive(Debug)]
pub struct Exec {
    /// Its number on the wire.
    pub id: u64,
    /// Its pid in the shim's namespace.
    pub pid: i32,
    /// Readable once it has ended.
    pub pidfd: OwnedFd,
    /// The connection that asked; its exit goes there.
    pub client: u64,
    /// The request that is still to be answered, until the child is the program.
    pub unanswered: Option<(u64, Watcher)>,
    /// For the reply: the terminal's master.
    pub master: Option<OwnedFd>,
    /// For resizes: the other end.
    pub slave: Option<OwnedFd>,
    /// When its tree is killed.
    pub deadline: Option<Instant>,
    /// Whether that has happened.
    pub timed_out: bool,
    /// Whether what the command leaves behind is killed.
    pub kill_tree: bool,
    /// Whether the connection that asked is gone.
    pub orphaned: bool,
    /// Its exit code once reaped.
    pub exit_code: Option<i32>,
    /// Whether the exit has been told.
    pub told: bool,
    /// The next look at whether its cgroup has become empty.
    pub retry_at: Option<Instant>,
    retry_pause: Duration,
    reaped_at: Option<Instant>,
}

/// Starts a process in the container. Whether it became the program shows on the watcher.
pub fn start(
    container: &Container,
    id: u64,
    (client, request): (u64, u64),
    asked: &wire::Exec,
    descriptors: Vec<OwnedFd>,
) -> Result<Exec> {
    let program = program_of(container, asked)?;
    let (streams, pair) = streams(container, asked, descriptors)?;
    let cgroup = container.cgroup.make_exec(id)?;
    let forked = spawn(container, &program, &streams, asked.tty, cgroup.as_ref());
    let (pid, pidfd, watcher) = forked.inspect_err(|_| {
        container.cgroup.remove_exec(id);
    })?;
    let (master, slave) = pair.map_or((None, None), |pair| (Some(pair.master), Some(pair.slave)));
    Ok(Exec {
        id,
        pid,
        pidfd,
        client,
        unanswered: Some((request, watcher)),
        master,
        slave,
        deadline: (asked.timeout_ms > 0).then(|| Instant::now() + Duration::from_millis(asked.timeout_ms)),
        timed_out: false,
        kill_tree: asked.kill_tree_at_exit,
        orphaned: false,
        exit_code: None,
        told: false,
        retry_at: None,
        retry_pause: Duration::from_micros(200),
        reaped_at: None,
    })
}

fn program_of(container: &Container, asked: &wire::Exec) -> Result<Program> {
    let mut program = container.program.clone();
    program.args = program::arguments(&asked.args)?;
    if !asked.env.is_empty() {
        program.env = program::strings("environment", &asked.env)?;
    }
    if !asked.cwd.is_empty() {
        program.cwd = program::c_string("working directory", asked.cwd.as_bytes())?;
    }
    Ok(program)
}

/// stdin, stdout and stderr: those that were sent, the null device for the others, or a new terminal.
fn streams(
    container: &Container,
    asked: &wire::Exec,
    descriptors: Vec<OwnedFd>,
) -> Result<([OwnedFd; 3], Option<terminal::Terminal>)> {
    let dup = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(|e| failure::kernel("dup", "stream", e));
    if asked.tty {
        let devpts = container.devpts.as_ref().ok_or_else(|| {
            failure::refused(Kind::FailedPrecondition, "open terminal", "/dev/pts", "the container has none")
        })?;
        let size = (asked.rows > 0 && asked.columns > 0).then_some((asked.rows, asked.columns));
        let pair = terminal::open(devpts, size)?;
        terminal::give_to(&pair.slave, container.host_uid)?;
        return Ok(([dup(&pair.slave)?, dup(&pair.slave)?, dup(&pair.slave)?], Some(pair)));
    }
    let mut sent = descriptors.into_iter();
    let mut take = |named: bool| match named {
        true => sent.next().ok_or_else(|| {
            failure::refused(Kind::InvalidArgument, "exec", "streams", "fewer descriptors than streams")
        }),
        false => devices::open_null(),
    };
    let streams = [take(asked.stdin)?, take(asked.stdout)?, take(asked.stderr)?];
    for stream in &streams {
        terminal::give_to(stream, container.host_uid)?;
    }
    Ok((streams, None))
}

fn spawn(
    container: &Container,
    program: &Program,
    streams: &[OwnedFd; 3],
    tty: bool,
    cgroup: Option<&OwnedFd>,
) -> Result<(i32, OwnedFd, Watcher)> {
    let (watcher, reporter) = fault::channel()?;
    watcher.set_nonblocking()?;
    // The child starts in the container's PID namespace: the shim's children do since the container was started.
    let cgroup = cgroup.map(AsFd::as_fd);
    match sys::clone3(0, cgroup).map_err(|e| not_started(container, "clone3", "exec".into(), e))? {
        Forked::Parent { pid, pidfd } => Ok((pid, pidfd, watcher)),
        Forked::Child => child(container, program, streams, tty, reporter),
    }
}

fn child(container: &Container, program: &Program, streams: &[OwnedFd; 3], tty: bool, reporter: Reporter) -> ! {
    match enter(container, program) {
        Ok(()) => program.run(streams.each_ref(), tty, reporter),
        Err(failure) => reporter.fail(failure),
    }
}

fn enter(container: &Container, program: &Program) -> Result<()> {
    if let Some(score) = container.oom_score_adj {
        // Through the host's /proc, and as far as it is allowed.
        let _ = std::fs::write("/proc/self/oom_score_adj", score.to_string());
    }
    program.label.set()?;
    rustix::process::setsid().map_err(|e| failure::kernel("setsid", "self", e))?;
    move_into_thread_name_spaces(container.pidfd.as_fd(), container.namespaces.of_container())
        .map_err(|e| not_started(container, "join namespaces", format!("of pid {}", container.pid), e.into()))?;
    container.cgroup.join_v1()
}

/// Why there is no process. For a container that is ending the kernel answers ESRCH, or, when its PID namespace takes
/// no process any more, ENOMEM: its first process is then exiting, however long that takes.
fn not_started(container: &Container, step: &'static str, object: String, error: io::Error) -> Failure {
    let about_the_container = matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ENOMEM));
    if about_the_container && is_exiting(&fs::read_to_string(format!("/proc/{}/stat", container.pid))) {
        return failure::refused(Kind::FailedPrecondition, step, object, "the container is not running");
    }
    failure::kernel(step, object, error)
}

/// Whether the process of a /proc/PID/stat is on its way out, or gone.
fn is_exiting(stat: &io::Result<String>) -> bool {
    let Ok(stat) = stat else { return true };
    // The name may have blanks and parentheses; state and five numbers stand between it and the flags.
    let flags = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(6));
    flags.and_then(|flags| flags.parse::<u32>().ok()).is_some_and(|flags| flags & EXITING != 0)
}

impl Exec {
    /// SIGKILL of the whole tree; of the process alone where there is no cgroup2 to do it with.
    pub fn kill(&self, container: &Container) {
        if container.cgroup.kill_exec(self.id).is_err() {
            let _ = sys::pidfd_send_signal(self.pidfd.as_fd(), libc::SIGKILL);
        }
    }

    /// The process has been reaped.
    pub fn ended(&mut self, container: &Container, exit_code: i32, now: Instant) {
        (self.exit_code, self.reaped_at, self.deadline) = (Some(exit_code), Some(now), None);
        // The shim's end of the terminal goes: the master's reader gets its end of file.
        self.slave = None;
        if !container.cgroup.remove_exec(self.id) {
            if self.kill_tree || self.timed_out {
                self.kill(container);
            }
            self.retry_at = Some(now + self.retry_pause);
        }
    }

    /// Looks again whether the cgroup has become empty.
    pub fn retry(&mut self, container: &Container, now: Instant) {
        if container.cgroup.remove_exec(self.id) {
            self.retry_at = None;
            return;
        }
        // A background process that may stay is looked for more and more seldom.
        self.retry_pause = (self.retry_pause * 2).min(Duration::from_secs(600));
        self.retry_at = Some(now + self.retry_pause);
    }

    /// Whether its end can be told: the process is reaped, and what is to be killed with it is gone or has been
    /// waited for long enough.
    pub fn can_be_told(&self, now: Instant) -> bool {
        let Some(reaped_at) = self.reaped_at else { return false };
        let waits_for_tree = (self.kill_tree || self.timed_out) && self.retry_at.is_some();
        !self.told && (!waits_for_tree || now >= reaped_at + TREE_PATIENCE)
    }

    /// Whether nothing of it is left.
    pub fn is_over(&self) -> bool {
        self.exit_code.is_some() && self.told && self.retry_at.is_none()
    }

    /// When something is due.
    pub fn next_time(&self) -> Option<Instant> {
        self.deadline.into_iter().chain(self.retry_at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_on_its_way_out_is_exiting() {
        let own = fs::read_to_string("/proc/self/stat");
        assert!(own.is_ok() && !is_exiting(&own));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        rustix::process::waitid(
            rustix::process::WaitId::Pid(rustix::process::Pid::from_child(&child)),
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
        )
        .unwrap();
        let path = format!("/proc/{}/stat", child.id());
        assert!(is_exiting(&fs::read_to_string(&path)));
        child.wait().unwrap();
        assert!(is_exiting(&fs::read_to_string(&path)));
        let named = "7 (a) b (c) S 1 2 3 0 -1 4194308 0".to_owned();
        assert!(is_exiting(&Ok(named.clone())) && !is_exiting(&Ok(named.replace("4194308", "4194304"))));
    }
}
