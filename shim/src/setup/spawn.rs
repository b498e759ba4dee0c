// SPDX-License-Identifier: Apache-2.0
//! Makes the container's first process: clones it, runs the hooks on the way, and kills it on failure.

use crate::cgroup::Cgroup;
use crate::child::Child;
use crate::failure::Result;
use crate::fault::{self, Outcome, Watcher};
use crate::gate::{self, ShimSide};
use crate::hooks::{self, Hooks, Point};
use crate::mounts::Plan;
use crate::namespaces::{Kind, Namespaces};
use crate::newborn;
use crate::order::Order;
use crate::program::Program;
use crate::sys::{self, Forked, Single};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::os::fd::{AsFd, OwnedFd};

/// What the child uses but the caller keeps.
#[derive(Debug, Clone, Copy)]
pub struct Spawn<'a> {
    /// The request.
    pub order: &'a Order,
    /// Its cgroup.
    pub cgroup: &'a Cgroup,
    /// Its namespaces.
    pub namespaces: &'a Namespaces,
    /// The program that it becomes.
    pub program: &'a Program,
}

impl Spawn<'_> {
    /// Makes the child, and waits until it has become the program. After a failure, nothing of it is left.
    ///
    /// # Errors
    /// The step of the child, or the hook, that failed.
    pub fn run(
        &self,
        overlay: OwnedFd,
        plan: Plan<'_>,
        streams: [OwnedFd; 3],
        single: Single,
    ) -> Result<(i32, OwnedFd)> {
        let (watcher, reporter) = fault::channel()?;
        let early = self.order.hooks.as_deref().filter(|hooks| hooks.any_before_pivot());
        let (gate_here, gate_there) = early.map(|_| gate::pair()).transpose()?.unzip();
        let (pid, pidfd) = match self.namespaces.fork(single, self.cgroup.unified())? {
            Forked::Parent { pid, pidfd } => (pid, pidfd),
            Forked::Child(in_child) => {
                drop((gate_here, watcher));
                let child = Child {
                    order: self.order,
                    cgroup: self.cgroup,
                    namespaces: self.namespaces,
                    overlay,
                    plan,
                    program: self.program,
                    streams: streams.each_ref(),
                    gate: gate_there,
                };
                child.run(in_child, reporter)
            }
        };
        drop((reporter, gate_there, streams, plan, overlay));
        if let (Some(hooks), Some(gate_here)) = (early, gate_here) {
            at_the_gate(hooks, &gate_here, pid).inspect_err(|_| kill(&pidfd))?;
        }
        self.follow(pid, pidfd, &watcher)
    }

    /// Waits until the child, or the process that it makes, has become the program.
    fn follow(&self, pid: i32, pidfd: OwnedFd, watcher: &Watcher) -> Result<(i32, OwnedFd)> {
        // Until here, this was the middle process.
        let (pid, pidfd) = match self.namespaces.pin(Kind::Pid) {
            Some(_) => newborn::adopt(&pidfd, watcher)?,
            None => (pid, pidfd),
        };
        if let Outcome::Failed(failure) = watcher.wait() {
            reap(&pidfd);
            return Err(failure);
        }
        if let Some(hooks) = &self.order.hooks {
            hooks::run(hooks, Point::Poststart, pid).inspect_err(|_| kill(&pidfd))?;
        }
        Ok((pid, pidfd))
    }
}

/// Runs the hooks while the child waits: everything is mounted, but the root is not pivoted yet.
fn at_the_gate(hooks: &Hooks, gate_here: &ShimSide, pid: i32) -> Result<()> {
    if !gate_here.wait_for_child() {
        return Ok(()); // It has failed; the fault channel carries the reason.
    }
    hooks::run(hooks, Point::Prestart, pid)?;
    hooks::run(hooks, Point::CreateRuntime, pid)?;
    gate_here.release(pid)
}

/// Kills and reaps a child that no longer exits by itself on a failure.
pub fn kill(pidfd: &OwnedFd) {
    let _ = sys::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
    reap(pidfd);
}

fn reap(pidfd: &OwnedFd) {
    let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
}
