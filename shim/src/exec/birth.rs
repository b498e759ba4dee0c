// SPDX-License-Identifier: Apache-2.0
//! Creates an exec's process: in the container's root, with nothing of the host within reach ([`Newborn`]).
//!
//! ```text
//! shim ──clone3──> middle process     in the host's PID namespace: no process of the container can look at it
//!                    oom_score_adj, label, namespaces, cgroup
//!                    ──newborn::spawn──> the exec's process, a child of the shim
//!                    '── its pid, 4 bytes ──> shim; exit
//! ```
//! The middle process is in the exec's cgroup, which can be frozen or short of CPU time. So the shim never waits for
//! it: it reads the pid when the fault channel reports an event or the middle process exits.

use crate::failure::{self, Result};
use crate::fault::{self, Reporter, Watcher};
use crate::newborn::Newborn;
use crate::program::Program;
use crate::setup::Container;
use crate::sys::{self, Forked, InChild};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::thread::move_into_thread_name_spaces;
use std::os::fd::{AsFd, OwnedFd};

/// Where the middle process reports the pid of the exec's process.
#[derive(Debug)]
pub struct Birth {
    told: OwnedFd,
    child: Option<i32>,
}

/// A running middle process.
#[derive(Debug)]
pub struct Begun {
    /// Its pid in the shim's namespace.
    pub pid: i32,
    /// Readable once it has ended.
    pub pidfd: OwnedFd,
    /// Receives the pid of the exec's process.
    pub birth: Birth,
    /// Where either process reports a failure.
    pub watcher: Watcher,
}

/// What the middle process needs.
struct Middle<'a> {
    container: &'a Container,
    program: &'a Program,
    streams: &'a [OwnedFd; 3],
    tty: bool,
}

/// Starts a middle process in `cgroup`.
///
/// # Errors
/// The kernel's error of the pipes or the clone. Failures of the middle process arrive at the watcher.
pub fn begin(
    container: &Container,
    program: &Program,
    streams: &[OwnedFd; 3],
    tty: bool,
    cgroup: Option<&OwnedFd>,
) -> Result<Begun> {
    let (watcher, reporter) = fault::channel()?;
    watcher.set_nonblocking()?;
    let (told, tell) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
        .map_err(|e| failure::kernel("make pipe", "middle process", e))?;
    match sys::clone3(container.single, 0, cgroup.map(AsFd::as_fd))
        .map_err(|e| failure::kernel("clone3", "middle process", e))?
    {
        Forked::Parent { pid, pidfd } => Ok(Begun { pid, pidfd, birth: Birth::told_by(told), watcher }),
        Forked::Child(in_child) => Middle { container, program, streams, tty }.run(in_child, reporter, tell),
    }
}

impl Birth {
    /// A birth whose pid arrives at this end of a pipe.
    pub(super) fn told_by(told: OwnedFd) -> Self {
        Self { told, child: None }
    }

    /// The pid of the exec's process, once it has been reported.
    pub fn child(&mut self) -> Option<i32> {
        let mut pid = [0; 4];
        while self.child.is_none() {
            match rustix::io::read(&self.told, &mut pid) {
                Err(Errno::INTR) => {}
                Ok(4) => self.child = Some(i32::from_ne_bytes(pid)),
                _ => return None,
            }
        }
        self.child
    }
}

impl Middle<'_> {
    /// Becomes the middle process, and in its clone the exec's process. Never returns in either.
    fn run(&self, in_child: InChild, reporter: Reporter, tell: OwnedFd) -> ! {
        match self.enter() {
            Ok(()) => {
                let newborn = Newborn { program: self.program, streams: self.streams.each_ref(), terminal: self.tty };
                newborn.spawn(in_child, reporter, Some(tell))
            }
            Err(failure) => reporter.fail(failure),
        }
    }

    fn enter(&self) -> Result<()> {
        // Without this the newborn would share its parent's process group and session until it leads its own, and if
        // traced it could reach the shim with `kill(0)`.
        rustix::process::setsid().map_err(|e| failure::kernel("setsid", "middle process", e))?;
        if let Some(score) = self.container.oom_score_adj {
            // Through the host's /proc, as far as permitted.
            let _ = std::fs::write("/proc/self/oom_score_adj", score.to_string());
        }
        self.program.label.set()?;
        let namespaces = self.container.namespaces.of_container();
        move_into_thread_name_spaces(self.container.pidfd.as_fd(), namespaces)
            .map_err(|e| failure::kernel("join namespaces", format!("of pid {}", self.container.pid), e))?;
        self.container.cgroup.join_v1()
    }
}
