// SPDX-License-Identifier: Apache-2.0
//! The namespaces that a container joins, and those that are created for it.

mod asked;
mod fork;
mod handles;

pub use asked::{Kind, Namespace, Origin, checked};
pub use handles::pidfd_of_child;

use crate::failure::{self, Result};
use crate::sys;
use handles::{open_file, open_of_process};
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

    /// Makes later children of this process start in the pinned PID namespace. No-op without one.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn enter_pids(&self) -> Result<()> {
        let Some(pin) = self.pin(Kind::Pid) else { return Ok(()) };
        move_into_link_name_space(pin, Some(LinkNameSpaceType::ProcessID))
            .map_err(|e| failure::kernel("join namespace", "pid", e))
    }

    /// Becomes root of the pinned user namespace, so that whatever is created has an owner there. No-op without one.
    ///
    /// # Errors
    /// The kernel's error; `EINVAL` when id 0 is not mapped.
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
    ///
    /// # Errors
    /// The kernel's error, with the kind of the namespace.
    pub fn join(&self) -> Result<()> {
        let own = |kind: &Kind| !matches!(kind, Kind::Pid | Kind::User);
        for (kind, pin) in self.pins.iter().filter(|(kind, _)| own(kind)) {
            move_into_link_name_space(pin.as_fd(), None::<LinkNameSpaceType>)
                .map_err(|e| failure::kernel("join namespace", kind.as_str_name().to_lowercase(), e))?;
        }
        Ok(())
    }

    /// Makes the cgroup namespace, if the container gets a new one.
    ///
    /// # Errors
    /// The kernel's error.
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
