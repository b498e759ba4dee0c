// SPDX-License-Identifier: Apache-2.0
//! User namespaces that exist only for their maps.

use super::maps::IdMaps;
use crate::failure::{self, Result};
use crate::sys::{self, Forked, Single};
use rustix::fs::{Mode, OFlags};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A user namespace with given maps.
#[derive(Debug)]
pub enum UserNamespace<'a> {
    /// The pod's namespace.
    Pods(BorrowedFd<'a>),
    /// A namespace that was created for its maps.
    Own(OwnedFd),
}

impl<'a> UserNamespace<'a> {
    /// Returns a namespace with the maps `wanted`: the pod's if its maps `pods` are the same, otherwise a new one.
    ///
    /// # Errors
    /// The kernel's error from creating it.
    pub fn with(wanted: &IdMaps, pods: &IdMaps, pin: Option<BorrowedFd<'a>>, single: Single) -> Result<Self> {
        match pin {
            Some(pin) if wanted == pods => Ok(Self::Pods(pin)),
            _ => make(wanted, single).map(Self::Own),
        }
    }
}

impl AsFd for UserNamespace<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Pods(pin) => *pin,
            Self::Own(fd) => fd.as_fd(),
        }
    }
}

/// Creates a namespace. A child holds it only until its maps are written and it is open.
fn make(maps: &IdMaps, single: Single) -> Result<OwnedFd> {
    let forked = sys::clone3(single, libc::CLONE_NEWUSER as u64, None);
    let (pid, pidfd) = match forked.map_err(|e| failure::kernel("clone3", "user namespace", e))? {
        Forked::Parent { pid, pidfd } => (pid, pidfd),
        Forked::Child(_) => sys::wait_for_death(),
    };
    let namespace = maps.write(pid).and_then(|()| {
        let path = format!("/proc/{pid}/ns/user");
        rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| failure::kernel("open", path, e))
    });
    let _ = sys::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
    let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
    namespace
}
