// SPDX-License-Identifier: Apache-2.0
//! Makes a program's process in a PID namespace that others already use: with nothing of the host, and with no right
//! that the program does not have.
//!
//! ```text
//! middle process, outside: invisible to those inside            the newborn, inside: visible from its first instant
//!   namespaces, root, cgroup (the caller's part)
//!   name, descriptors, limits, keyring, working directory,
//!   filter, user, capabilities
//!   ──clone(CLONE_PARENT)──────────────────────────────────────>  session, terminal, execve
//!   reports its pid, if asked to; exit
//! ```
//! A process with CAP_SYS_PTRACE has full control over every process in its PID namespace: it can reach its root and its
//! descriptors, read and write its memory, and act in its name. A newborn therefore has only the container's root, the
//! program's streams and two pipes to the shim, and the program's ids, groups and capabilities. Until execve it still has
//! the shim's memory, which holds only data about this container. With a user namespace, not even that is exposed:
//! memory that was created outside and is not dumpable is closed to capabilities inside.
//!
//! The middle process also loads the filter, if the filter allows the remaining steps: without no_new_privs, loading one
//! takes CAP_SYS_ADMIN, which the newborn usually lacks. If it does not allow them, the newborn loads the filter as its
//! last step, under no_new_privs. (A filter without clone, for example, keeps the program from starting others as well.)

use crate::failure::{self, Failure, Kind, Result};
use crate::fault::{Outcome, Reporter, Watcher};
use crate::filter;
use crate::namespaces::pidfd_of_child;
use crate::program::{self, Program, Ready};
use crate::reap;
use crate::sys::{self, InChild};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, WaitId, WaitIdOptions, set_dumpable_behavior, waitid};
use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

/// A process that is about to be made, and the program that it becomes.
#[derive(Debug, Clone, Copy)]
pub struct Newborn<'a> {
    /// The program.
    pub program: &'a Program,
    /// stdin, stdout, stderr.
    pub streams: [&'a OwnedFd; 3],
    /// Whether they are a terminal, which it takes as its own.
    pub terminal: bool,
}

impl Newborn<'_> {
    /// Does the rest of the middle process's work. By now it has the container's namespaces, root and cgroup, and its
    /// children start in the container's PID namespace. Returns in neither process.
    pub fn spawn(self, in_child: InChild, reporter: Reporter, tell: Option<OwnedFd>) -> ! {
        let Self { program, streams, terminal } = self;
        set_title(&program.args);
        let (reporter, tell) = match program::place_descriptors(in_child, streams, &reporter, tell.as_ref()) {
            Ok(placed) => {
                // They were closed with the rest: dropping them would close the same numbers again.
                std::mem::forget((reporter, tell));
                placed
            }
            Err(failure) => reporter.fail(failure),
        };
        let birth = Birth { in_child, program, terminal };
        match birth.ready_and_clone() {
            Ok((_, Some(pid))) => {
                let told = tell.map_or(Ok(4), |tell| rustix::io::write(tell, &pid.to_ne_bytes()));
                sys::exit_now(i32::from(told.is_err()))
            }
            Ok((ready, None)) => {
                let Err(failure) = birth.last_steps(&ready);
                reporter.fail(failure)
            }
            Err(failure) => reporter.fail(failure),
        }
    }
}

/// Makes this process look like the program that it is about to become.
fn set_title(args: &[CString]) {
    sys::set_title(args);
    let name = args[0].as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    // The kernel truncates a name that is too long.
    let _ = CString::new(name).map(|name| rustix::thread::set_name(&name));
}

const ALWAYS: [libc::c_long; 3] = [libc::SYS_write, libc::SYS_exit_group, libc::SYS_setsid];

const OTHERWISE_BEFORE: [libc::c_long; 9] = [
    libc::SYS_setgroups,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_chdir,
    libc::SYS_getcwd,
    libc::SYS_newfstatat,
    libc::SYS_faccessat,
];

/// The first is always needed, the others under the same condition as [`OTHERWISE_BEFORE`].
const PRCTL: [libc::c_int; 5] = [
    libc::PR_SET_DUMPABLE,
    libc::PR_SET_KEEPCAPS,
    libc::PR_CAPBSET_DROP,
    libc::PR_CAP_AMBIENT,
    libc::PR_SET_NO_NEW_PRIVS,
];

struct Birth<'a> {
    in_child: InChild,
    program: &'a Program,
    terminal: bool,
}

impl Birth<'_> {
    fn ready_and_clone(&self) -> Result<(Ready, Option<i32>)> {
        let ready = self.program.give_up_rights(self.loads_filter_early())?;
        // The change of ids may have made its memory readable to processes with these ids, or to all (fs.suid_dumpable).
        set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|e| failure::kernel("close memory", "self", e))?;
        let pid =
            sys::clone_sibling(self.in_child).map_err(|e| failure::kernel("clone", "process in the container", e))?;
        Ok((ready, pid))
    }

    fn loads_filter_early(&self) -> bool {
        let seccomp = self.program.seccomp.as_ref();
        seccomp.is_some_and(|seccomp| self.calls_to_come().all(|call| filter::allows(&seccomp.filter, call)))
    }

    /// The system calls that both processes still make once the middle process has loaded the filter. Those that become
    /// the program's user and find the program count only under no_new_privs: without it, any filter must allow them.
    fn calls_to_come(&self) -> impl Iterator<Item = filter::Call> {
        let terminal = self.terminal.then_some((libc::SYS_ioctl, [0, libc::TIOCSCTTY, 0, 0, 0, 0]));
        let otherwise_before = if self.program.no_new_privs { &OTHERWISE_BEFORE[..] } else { &[] };
        let options = if self.program.no_new_privs { &PRCTL[..] } else { &PRCTL[..1] };
        let plain = ALWAYS.iter().chain(otherwise_before).map(|number| (*number, [0; 6]));
        let options = options.iter().map(|option| (libc::SYS_prctl, [*option as u64, 0, 0, 0, 0, 0]));
        plain.chain(options).chain([sys::SIBLING]).chain(terminal)
    }

    /// The remaining steps of the newborn, up to execve.
    fn last_steps(&self, ready: &Ready) -> Result<Infallible> {
        rustix::process::setsid().map_err(|e| failure::kernel("setsid", "self", e))?;
        if self.terminal {
            program::take_terminal()?;
        }
        let filter_is_due = self.program.seccomp.is_some() && !self.loads_filter_early();
        let powerless = filter_is_due && !self.program.grant.may_administer();
        self.program.execute(ready, self.program.no_new_privs || powerless)
    }
}

/// The shim's part of a start: waits for the middle process to exit and finds the process that it made.
///
/// # Errors
/// The failure that the middle process reported; `Internal` when it was killed, or did not leave exactly one process.
pub fn adopt(middle: &OwnedFd, watcher: &Watcher) -> Result<(i32, OwnedFd)> {
    let code = loop {
        match waitid(WaitId::PidFd(middle.as_fd()), WaitIdOptions::EXITED) {
            Err(Errno::INTR) => {}
            Err(e) => return Err(failure::kernel("wait for", "the set-up process", e)),
            Ok(status) => break status.and_then(|status| status.exit_status()),
        }
    };
    if code != Some(0) {
        return Err(match watcher.wait() {
            Outcome::Failed(failure) => failure,
            _ => lost("it was killed"),
        });
    }
    // The shim has no other children yet and has reaped none, so it need not trust the report of a traceable process.
    match reap::children()[..] {
        [pid] => pidfd_of_child(pid).map(|pidfd| (pid, pidfd)),
        _ => Err(lost("it did not leave exactly one process")),
    }
}

fn lost(why: &str) -> Failure {
    failure::refused(Kind::Internal, "start", "the set-up process", why)
}
