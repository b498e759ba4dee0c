// SPDX-License-Identifier: Apache-2.0
//! The namespaces that a container joins, and those that are created for it.

mod asked;
mod handles;

pub use asked::{Kind, Namespace, Origin, checked};
pub use handles::pidfd_of_child;

use crate::failure::{self, Result};
use crate::fault::{self, Outcome, Reporter};
use crate::sys::{self, Forked, InChild, Single};
use handles::{open_file, open_of_process};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A container's namespaces. For a kind that is in neither list, the container uses the host's.
#[derive(Debug, Default)]
pub struct Namespaces {
    pins: Vec<(Kind, OwnedFd)>,
    new: Vec<Kind>,
}

impl Namespaces {
    /// Opens every pin.
    ///
    /// # Errors
    /// The kernel's error, with the pin; `FailedPrecondition` when its process has ended.
    pub fn open(list: &[Namespace]) -> Result<Self> {
        let mut namespaces = Self::default();
        for Namespace { kind, origin } in list {
            match origin {
                Origin::New => namespaces.new.push(*kind),
                Origin::File(path) => namespaces.pins.push((*kind, open_file(path)?)),
                Origin::Process { process, name } => {
                    namespaces.pins.push((*kind, open_of_process(*process, name)?));
                }
            }
        }
        Ok(namespaces)
    }

    /// Whether the container gets a new namespace of this kind.
    pub fn is_new(&self, kind: Kind) -> bool {
        self.new.contains(&kind)
    }

    /// The pin of the namespace of this kind, if the container joins one.
    pub fn pin(&self, kind: Kind) -> Option<BorrowedFd<'_>> {
        self.pins.iter().find(|(k, _)| *k == kind).map(|(_, pin)| pin.as_fd())
    }

    /// Makes the child in the container's new namespaces, directly in `cgroup`. It does not join a pinned PID namespace:
    /// see [`Namespaces::enter_pids`].
    ///
    /// A PID or mount namespace belongs to the user namespace of the process that makes it. With a pinned user namespace,
    /// a middle process therefore joins it and makes the clone; the child is still the shim's own (`CLONE_PARENT`).
    pub fn fork(&self, single: Single, cgroup: Option<BorrowedFd<'_>>) -> Result<Forked> {
        let Some(user) = self.pin(Kind::User) else { return self.fork_here(single, cgroup) };
        let (watcher, reporter) = fault::channel()?;
        let (read, write) =
            pipe_with(PipeFlags::CLOEXEC).map_err(|e| failure::kernel("make pipe", "middle process", e))?;
        match sys::clone3(single, 0, None).map_err(|e| failure::kernel("clone3", "middle process", e))? {
            Forked::Child(in_child) => self.fork_in_the_middle(in_child, user, cgroup, &reporter, &write),
            Forked::Parent { pidfd, .. } => {
                drop((reporter, write));
                let mut pid = [0; 4];
                let told = rustix::io::read(&read, &mut pid);
                let outcome = watcher.wait();
                let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
                match (outcome, told) {
                    (Outcome::Failed(failure), _) => Err(failure),
                    (_, Ok(4)) => {
                        let pid = i32::from_ne_bytes(pid);
                        pidfd_of_child(pid).map(|pidfd| Forked::Parent { pid, pidfd })
                    }
                    _ => {
                        Err(failure::refused(failure::Kind::Internal, "clone3", "container", "the middle process died"))
                    }
                }
            }
        }
    }

    fn fork_here(&self, single: Single, cgroup: Option<BorrowedFd<'_>>) -> Result<Forked> {
        sys::clone3(single, self.clone_flags(), cgroup).map_err(|e| failure::kernel("clone3", "container", e))
    }

    /// Makes later children of this process start in the pinned PID namespace. No-op without one.
    pub fn enter_pids(&self) -> Result<()> {
        let Some(pin) = self.pin(Kind::Pid) else { return Ok(()) };
        move_into_link_name_space(pin, Some(LinkNameSpaceType::ProcessID))
            .map_err(|e| failure::kernel("join namespace", "pid", e))
    }

    /// Runs in the middle process, and never returns there. Only its child returns, as `Forked::Child`.
    fn fork_in_the_middle(
        &self,
        in_child: InChild,
        user: BorrowedFd<'_>,
        cgroup: Option<BorrowedFd<'_>>,
        reporter: &Reporter,
        write: &OwnedFd,
    ) -> Result<Forked> {
        let forked = self.join_user(user).and_then(|()| {
            let flags = self.clone_flags() | libc::CLONE_PARENT as u64;
            sys::clone3(in_child.single(), flags, cgroup).map_err(|e| failure::kernel("clone3", "container", e))
        });
        match forked {
            Ok(Forked::Child(in_child)) => Ok(Forked::Child(in_child)),
            Ok(Forked::Parent { pid, .. }) => {
                let _ = rustix::io::write(write, &pid.to_ne_bytes());
                sys::exit_now(0)
            }
            Err(failure) => reporter.fail(failure),
        }
    }

    fn join_user(&self, user: BorrowedFd<'_>) -> Result<()> {
        move_into_link_name_space(user, Some(LinkNameSpaceType::User))
            .map_err(|e| failure::kernel("join namespace", "user", e))
    }

    /// Becomes root of the pinned user namespace, so that whatever is created has an owner there. No-op without one.
    pub fn become_root(&self) -> Result<()> {
        if self.pin(Kind::User).is_none() {
            return Ok(());
        }
        use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
        let fail = |e| failure::kernel("become root", "in the user namespace", e);
        let (uid, gid) = (rustix::process::Uid::ROOT, rustix::process::Gid::ROOT);
        set_thread_groups(&[]).map_err(fail)?;
        set_thread_res_gid(gid, gid, gid).map_err(fail)?;
        set_thread_res_uid(uid, uid, uid).map_err(fail)
    }

    /// The flags for the clone. A new cgroup namespace is not among them: its root is the cgroup of the process that makes
    /// it, so the child makes it once it is in the container's cgroup.
    pub fn clone_flags(&self) -> u64 {
        self.new.iter().filter(|kind| **kind != Kind::Cgroup).map(|kind| flag(*kind)).sum()
    }

    /// Joins the pins that a process can join itself. A PID namespace only affects its children, and a user namespace is
    /// joined earlier and separately.
    pub fn join(&self) -> Result<()> {
        let own = |kind: &Kind| !matches!(kind, Kind::Pid | Kind::User);
        for (kind, pin) in self.pins.iter().filter(|(kind, _)| own(kind)) {
            move_into_link_name_space(pin.as_fd(), None::<LinkNameSpaceType>)
                .map_err(|e| failure::kernel("join namespace", kind.as_str_name().to_lowercase(), e))?;
        }
        Ok(())
    }

    /// Makes the cgroup namespace, if the container gets a new one.
    pub fn unshare_cgroup(&self) -> Result<()> {
        if !self.is_new(Kind::Cgroup) {
            return Ok(());
        }
        sys::unshare(ThreadNameSpaceType::CONTROL_GROUP).map_err(|e| failure::kernel("unshare", "cgroup namespace", e))
    }

    /// All namespaces of the container, which an exec has to join.
    pub fn of_container(&self) -> ThreadNameSpaceType {
        let kinds = self.pins.iter().map(|(kind, _)| *kind).chain(self.new.iter().copied());
        let bits = kinds.map(flag).fold(0, |all, one| all | one);
        ThreadNameSpaceType::from_bits_retain(bits as u32)
    }

    /// Whether the container shares its PID namespace: then killing its first process does not end the others.
    pub fn shares_pids(&self) -> bool {
        !self.is_new(Kind::Pid)
    }
}

fn flag(kind: Kind) -> u64 {
    let flag = match kind {
        Kind::Mount => libc::CLONE_NEWNS,
        Kind::Pid => libc::CLONE_NEWPID,
        Kind::Net => libc::CLONE_NEWNET,
        Kind::Ipc => libc::CLONE_NEWIPC,
        Kind::Uts => libc::CLONE_NEWUTS,
        Kind::User => libc::CLONE_NEWUSER,
        Kind::Cgroup => libc::CLONE_NEWCGROUP,
    };
    flag as u64
}
