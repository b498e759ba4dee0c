// SPDX-License-Identifier: Apache-2.0
//! Makes a process in a container's new namespaces.
//!
//! A PID or mount namespace belongs to the user namespace of the process that makes it. With a pinned user namespace, a
//! middle process therefore joins it and makes the clone; the child is still the shim's own (`CLONE_PARENT`).
//!
//! ```text
//! shim ──clone3──> middle process     joins the user namespace
//!                    ──clone3(CLONE_PARENT)──> the child
//!                    '── the child's pid, 4 bytes ──> shim; exit
//! ```

use super::handles::pidfd_of_child;
use super::{Kind, Namespaces};
use crate::failure::{self, Result};
use crate::fault::{self, Outcome, Reporter, Watcher};
use crate::sys::{self, Forked, InChild, Single};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

impl Namespaces {
    /// Makes the child in the container's new namespaces, directly in `cgroup`. It does not join a pinned PID namespace:
    /// see [`Namespaces::enter_pids`].
    ///
    /// # Errors
    /// The kernel's error, with the step; `Internal` when something killed the middle process.
    pub fn fork(&self, single: Single, cgroup: Option<BorrowedFd<'_>>) -> Result<Forked> {
        let Some(user) = self.pin(Kind::User) else { return self.clone_child(single, 0, cgroup) };
        let (watcher, reporter) = fault::channel()?;
        let (told, tell) =
            pipe_with(PipeFlags::CLOEXEC).map_err(|e| failure::kernel("make pipe", "middle process", e))?;
        match sys::clone3(single, 0, None).map_err(|e| failure::kernel("clone3", "middle process", e))? {
            Forked::Child(in_child) => {
                let middle = Middle { namespaces: self, user, cgroup, reporter, tell };
                Ok(Forked::Child(middle.run(in_child)))
            }
            Forked::Parent { pidfd, .. } => {
                drop((reporter, tell));
                meet(&told, &watcher, &pidfd)
            }
        }
    }

    fn clone_child(&self, single: Single, flags: i32, cgroup: Option<BorrowedFd<'_>>) -> Result<Forked> {
        let flags = self.clone_flags() | flags as u64;
        sys::clone3(single, flags, cgroup).map_err(|e| failure::kernel("clone3", "container", e))
    }
}

/// The shim's part: waits for the middle process to exit, and returns the child that it has made.
fn meet(told: &OwnedFd, watcher: &Watcher, middle: &OwnedFd) -> Result<Forked> {
    let mut pid = [0; 4];
    let told = rustix::io::read(told, &mut pid);
    let outcome = watcher.wait();
    let _ = waitid(WaitId::PidFd(middle.as_fd()), WaitIdOptions::EXITED);
    match (outcome, told) {
        (Outcome::Failed(failure), _) => Err(failure),
        (_, Ok(4)) => {
            let pid = i32::from_ne_bytes(pid);
            pidfd_of_child(pid).map(|pidfd| Forked::Parent { pid, pidfd })
        }
        _ => Err(failure::refused(failure::Kind::Internal, "clone3", "container", "the middle process died")),
    }
}

/// The middle process.
struct Middle<'a> {
    namespaces: &'a Namespaces,
    user: BorrowedFd<'a>,
    cgroup: Option<BorrowedFd<'a>>,
    reporter: Reporter,
    tell: OwnedFd,
}

impl Middle<'_> {
    /// Never returns in the middle process, only in its child.
    fn run(self, in_child: InChild) -> InChild {
        let joined = move_into_link_name_space(self.user, Some(LinkNameSpaceType::User))
            .map_err(|e| failure::kernel("join namespace", "user", e));
        let single = in_child.single();
        match joined.and_then(|()| self.namespaces.clone_child(single, libc::CLONE_PARENT, self.cgroup)) {
            Ok(Forked::Child(in_child)) => in_child,
            Ok(Forked::Parent { pid, .. }) => {
                let _ = rustix::io::write(&self.tell, &pid.to_ne_bytes());
                sys::exit_now(0)
            }
            Err(failure) => self.reporter.fail(failure),
        }
    }
}
