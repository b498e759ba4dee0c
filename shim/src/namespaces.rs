// SPDX-License-Identifier: Apache-2.0
//! Which namespaces a container joins and which it gets new.

use crate::failure::{self, Result};
use crate::wire::{Namespace, namespace::Kind};
use rustix::fs::{Mode, OFlags};
use rustix::thread::ThreadNameSpaceType;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space, move_into_thread_name_spaces};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A container's namespaces. A kind that is in neither list is the host's.
#[derive(Debug, Default)]
pub struct Namespaces {
    pins: Vec<(Kind, OwnedFd)>,
    new: Vec<Kind>,
}

impl Namespaces {
    /// Opens every pin.
    pub fn open(list: &[Namespace], private_cgroup: bool) -> Result<Self> {
        let mut namespaces = Self::default();
        for namespace in list {
            let kind = namespace.kind();
            if namespace.path.is_empty() {
                namespaces.new.push(kind);
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let pin = rustix::fs::open(&namespace.path, flags, Mode::empty())
                .map_err(|e| failure::kernel("open namespace", &namespace.path, e))?;
            namespaces.pins.push((kind, pin));
        }
        if private_cgroup && !namespaces.is_new(Kind::Cgroup) {
            namespaces.new.push(Kind::Cgroup);
        }
        if !namespaces.is_new(Kind::Mount) {
            namespaces.new.push(Kind::Mount);
        }
        Ok(namespaces)
    }

    /// Whether the container gets a new one of this kind.
    pub fn is_new(&self, kind: Kind) -> bool {
        self.new.contains(&kind)
    }

    /// The pin of a kind.
    pub fn pin(&self, kind: Kind) -> Option<BorrowedFd<'_>> {
        self.pins.iter().find(|(k, _)| *k == kind).map(|(_, pin)| pin.as_fd())
    }

    /// The flags for the clone. A new cgroup namespace is not among them: its root is the cgroup of whoever makes it,
    /// so the child makes it itself once it is in its own.
    pub fn clone_flags(&self) -> u64 {
        self.new.iter().filter(|kind| **kind != Kind::Cgroup).map(|kind| flag(*kind)).sum()
    }

    /// Joins the pins that a process joins itself (a PID namespace is only for its children, a user namespace comes
    /// first and apart).
    pub fn join(&self) -> Result<()> {
        let own = |kind: &Kind| !matches!(kind, Kind::Pid | Kind::User);
        for (kind, pin) in self.pins.iter().filter(|(kind, _)| own(kind)) {
            move_into_link_name_space(pin.as_fd(), None::<LinkNameSpaceType>)
                .map_err(|e| failure::kernel("join namespace", kind.as_str_name().to_lowercase(), e))?;
        }
        Ok(())
    }

    /// Makes the cgroup namespace, when there is to be one.
    pub fn unshare_cgroup(&self) -> Result<()> {
        if !self.is_new(Kind::Cgroup) {
            return Ok(());
        }
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWCGROUP)
            .map_err(|e| failure::kernel("unshare", "cgroup namespace", e))
    }

    /// Everything of a container's that an exec has to join, its PID namespace excepted.
    pub fn of_container(&self) -> ThreadNameSpaceType {
        let kinds = self.pins.iter().map(|(kind, _)| *kind).chain(self.new.iter().copied());
        let bits = kinds.filter(|kind| *kind != Kind::Pid).map(flag).fold(0, |all, one| all | one);
        ThreadNameSpaceType::from_bits_retain(bits as u32)
    }

    /// Whether processes of others can see this container's: killing its first process does not end the rest then.
    pub fn shares_pids(&self) -> bool {
        !self.is_new(Kind::Pid)
    }
}

/// Makes children of this process start in the PID namespace behind `fd`: a pin, or a process's pidfd.
pub fn fork_into(fd: impl AsFd) -> Result<()> {
    move_into_thread_name_spaces(fd.as_fd(), ThreadNameSpaceType::PROCESS_ID)
        .or_else(|_| move_into_link_name_space(fd.as_fd(), Some(LinkNameSpaceType::ProcessID)))
        .map_err(|e| failure::kernel("join namespace", "pid", e))
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
        Kind::Time => libc::CLONE_NEWTIME,
    };
    flag as u64
}
