// SPDX-License-Identifier: Apache-2.0
//! The child that creates the namespaces of a pod with a user namespace, so that this namespace owns them.
//!
//! A process that enters a new user namespace loses its rights over the node's mounts and network. So a child enters it,
//! and the parent performs from outside the steps that need those rights.
//!
//! ```text
//! parent                                    child (born in user, net, ipc, uts)
//! write uid and gid maps
//! pin the namespaces        --[gate]-->     start the pod's init; become the namespace's root; host name
//! pid of the init         <--[answer]--
//! network                   --[gate]-->     sysctls
//!                          <--[fault]--     a failure, or end of file once everything is done
//! ```

use super::request::Setup;
use super::{init, namespaces, sysctl};
use crate::cgroup::Cgroup;
use crate::failure::{self, Failure, Kind, Result};
use crate::fault::{self, Outcome, Reporter, Watcher};
use crate::idmap::IdMaps;
use crate::proc_sys::ProcSys;
use crate::sys::{self, Forked, InChild, Single};
use rustix::io::{Errno, read, write};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::thread::ThreadNameSpaceType;
use std::os::fd::{AsFd, OwnedFd};

/// The child, which waits at its gate.
#[derive(Debug)]
pub struct Owner {
    pid: i32,
    gate: OwnedFd,
    answer: OwnedFd,
    fault: Watcher,
    _pidfd: OwnedFd,
}

struct Ends {
    gate: OwnedFd,
    answer: OwnedFd,
    reporter: Reporter,
}

impl Owner {
    /// Starts the child and writes the id maps of its user namespace.
    ///
    /// - Shapes: `sys` is for the child, which may not mount a procfs.
    ///
    /// # Errors
    /// The kernel's error, with the step.
    pub fn start(setup: &Setup, ids: &IdMaps, cgroup: Option<&Cgroup>, sys: &ProcSys, single: Single) -> Result<Self> {
        let fail = |errno: Errno| failure::kernel("make pipe", "to the namespaces' owner", errno);
        let (child_gate, gate) = pipe_with(PipeFlags::CLOEXEC).map_err(fail)?;
        let (answer, child_answer) = pipe_with(PipeFlags::CLOEXEC).map_err(fail)?;
        let (fault, reporter) = fault::channel()?;
        let kinds = namespaces::wanted(setup.own).into_iter().map(|(_, flag)| flag);
        let flags = kinds.fold(ThreadNameSpaceType::USER, |all, flag| all | flag);
        let forked = sys::clone3(single, flags.bits().into(), None)
            .map_err(|e| failure::kernel("make namespaces", "with a user namespace", e))?;
        let (pid, pidfd) = match forked {
            Forked::Parent { pid, pidfd } => (pid, pidfd),
            Forked::Child(in_child) => {
                drop((gate, answer, fault));
                let ends = Ends { gate: child_gate, answer: child_answer, reporter };
                let plan = init::Plan { cgroup, mount_point: setup.pins.dir(), own_user: true };
                match run(in_child, setup, &ends, &plan, sys) {
                    Ok(()) => sys::exit_now(0),
                    Err(failure) => ends.reporter.fail(failure),
                }
            }
        };
        ids.write(pid)?;
        Ok(Self { pid, gate, answer, fault, _pidfd: pidfd })
    }

    /// The name of its directory in /proc.
    pub fn proc_name(&self) -> String {
        self.pid.to_string()
    }

    /// Lets the child continue up to the network step; returns the pid of the pod's init if there is one.
    ///
    /// # Errors
    /// The failure that the child reported; `Internal` when it was killed.
    pub fn settle(&self) -> Result<Option<i32>> {
        self.open_gate()?;
        let mut pid = [0; 4];
        match read(&self.answer, &mut pid[..]) {
            Ok(4) => Ok(Some(i32::from_ne_bytes(pid)).filter(|&pid| pid != 0)),
            _ => Err(self.lost()),
        }
    }

    /// Lets the child write the sysctls, and waits until it and the init are done.
    ///
    /// # Errors
    /// The failure that the child or the init reported; `Internal` when the child is already gone.
    pub fn finish(self) -> Result<()> {
        self.open_gate()?;
        match self.fault.wait() {
            Outcome::Failed(failure) => Err(failure),
            _ => Ok(()),
        }
    }

    fn open_gate(&self) -> Result<()> {
        // EPIPE: the child is gone, and the fault channel carries the reason.
        write(&self.gate, b"g").map(drop).map_err(|_| self.lost())
    }

    fn lost(&self) -> Failure {
        match self.fault.wait() {
            Outcome::Failed(failure) => failure,
            _ => failure::refused(Kind::Internal, "make namespaces", "with a user namespace", "the child was killed"),
        }
    }
}

/// The child's part.
fn run(in_child: InChild, setup: &Setup, ends: &Ends, plan: &init::Plan<'_>, sys: &ProcSys) -> Result<()> {
    pass(&ends.gate)?;
    // Before this process becomes the namespace's root: only the node's root may put a process into the cgroup.
    let pid = if setup.own.pid { init::spawn(plan, &ends.reporter, in_child.single())? } else { 0 };
    let fail = |errno: Errno| failure::kernel("become root of", "the user namespace", errno);
    init::become_id(0).map_err(fail)?;
    namespaces::set_hostname(setup.hostname.as_deref())?;
    write(&ends.answer, &pid.to_ne_bytes()).map_err(fail)?;
    pass(&ends.gate)?;
    sysctl::apply(sys, &setup.sysctls)
}

/// Waits for the parent to open the gate. If the parent has exited, the gate is closed and there is nothing left to do.
fn pass(gate: &OwnedFd) -> Result<()> {
    match read(gate.as_fd(), &mut [0; 1][..]) {
        Ok(1) => Ok(()),
        _ => sys::exit_now(1),
    }
}
