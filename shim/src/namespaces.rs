// SPDX-License-Identifier: Apache-2.0
//! Which namespaces a container joins and which it gets new.

use crate::failure::{self, Result};
use crate::fault::{self, Outcome, Reporter};
use crate::malformed::{self, Malformed, absolute, each};
use crate::state;
use crate::sys::{self, Forked, InChild, Single};
use crate::wire;
use rustix::fs::{Mode, OFlags, openat};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use rustix::thread::ThreadNameSpaceType;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub use crate::wire::namespace::Kind;

/// One of a container's namespaces, asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Namespace {
    /// What it divides.
    pub kind: Kind,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a namespace comes from.
#[derive(Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is made for the container.
    New,
    /// It is there, behind this file.
    File(String),
    /// A process is in it, which was started at `start_ticks`.
    Process {
        /// The process's directory in /proc.
        process: String,
        /// The name below its `ns`.
        name: String,
        /// Field 22 of its stat: its number may have changed hands since.
        start_ticks: u64,
    },
}

/// Checks the namespaces of a container, which always has mounts of its own.
///
/// # Errors
/// For a kind that is not known or is there twice, and for what no container can have: the mounts of others, a user
/// namespace of its own.
pub fn checked(list: Vec<wire::Namespace>, private_cgroup: bool) -> malformed::Result<Vec<Namespace>> {
    let mut namespaces = each("namespaces", list, one)?;
    for kind in [private_cgroup.then_some(Kind::Cgroup), Some(Kind::Mount)].into_iter().flatten() {
        if !namespaces.iter().any(|namespace| namespace.kind == kind) {
            namespaces.push(Namespace { kind, origin: Origin::New });
        }
    }
    let twice =
        |(n, namespace): &(usize, &Namespace)| namespaces[..*n].iter().any(|other| other.kind == namespace.kind);
    match namespaces.iter().enumerate().find(twice) {
        Some((n, _)) => Err(Malformed::new(format!("namespaces[{n}].kind"), "is there twice")),
        None => Ok(namespaces),
    }
}

fn one(namespace: wire::Namespace) -> malformed::Result<Namespace> {
    let kind = Kind::try_from(namespace.kind);
    let kind = kind.map_err(|_| Malformed::new("kind", format!("{} is not a kind of namespace", namespace.kind)))?;
    let origin = match (namespace.path.is_empty(), namespace.start_ticks) {
        (true, 0) => Origin::New,
        (true, _) => return Err(Malformed::new("start_ticks", "is set without a process")),
        (false, 0) => Origin::File(absolute("path", namespace.path)?),
        (false, start_ticks) => match absolute("path", namespace.path)?.split_once("/ns/") {
            Some((process, name)) => Origin::Process { process: process.into(), name: name.into(), start_ticks },
            None => return Err(Malformed::new("path", "is not a namespace of a process")),
        },
    };
    match (kind, &origin) {
        (Kind::User, Origin::New) => Err(Malformed::new("path", "a user namespace is always the pod's")),
        (Kind::Mount, Origin::File(_) | Origin::Process { .. }) => {
            Err(Malformed::new("path", "a container always has mounts of its own"))
        }
        _ => Ok(Namespace { kind, origin }),
    }
}

/// A container's namespaces. A kind that is in neither list is the host's.
#[derive(Debug, Default)]
pub struct Namespaces {
    pins: Vec<(Kind, OwnedFd)>,
    new: Vec<Kind>,
}

impl Namespaces {
    /// Opens every pin.
    ///
    /// # Errors
    /// What the kernel answered, with the pin; `FailedPrecondition` when its process has ended.
    pub fn open(list: &[Namespace]) -> Result<Self> {
        let mut namespaces = Self::default();
        for Namespace { kind, origin } in list {
            match origin {
                Origin::New => namespaces.new.push(*kind),
                Origin::File(path) => namespaces.pins.push((*kind, open_file(path)?)),
                Origin::Process { process, name, start_ticks } => {
                    namespaces.pins.push((*kind, open_of_process(process, name, *start_ticks)?));
                }
            }
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

    /// Makes the child in the container's new namespaces, born in `cgroup`. It is not in a pinned PID namespace: see
    /// [`Namespaces::enter_pids`].
    ///
    /// A PID and a mount namespace belong to the user namespace of the process that makes them. So with a pinned one the
    /// clone is made by a middle process that has joined it; the child still is the shim's own (`CLONE_PARENT`).
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

    /// Has children of this process start in the pinned PID namespace; nothing to do without one.
    pub fn enter_pids(&self) -> Result<()> {
        let Some(pin) = self.pin(Kind::Pid) else { return Ok(()) };
        move_into_link_name_space(pin, Some(LinkNameSpaceType::ProcessID))
            .map_err(|e| failure::kernel("join namespace", "pid", e))
    }

    /// The middle process: never comes back as itself; the child comes back as `Forked::Child`.
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

    /// Inside a user namespace: becomes its root, so that what is made has an owner there. No-op outside of one.
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

    /// The flags for the clone. A new cgroup namespace is not among them: its root is the cgroup of the process that makes it,
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
        sys::unshare(ThreadNameSpaceType::CONTROL_GROUP).map_err(|e| failure::kernel("unshare", "cgroup namespace", e))
    }

    /// Everything of a container's that an exec has to join.
    pub fn of_container(&self) -> ThreadNameSpaceType {
        let kinds = self.pins.iter().map(|(kind, _)| *kind).chain(self.new.iter().copied());
        let bits = kinds.map(flag).fold(0, |all, one| all | one);
        ThreadNameSpaceType::from_bits_retain(bits as u32)
    }

    /// Whether processes of others can see this container's: killing its first process does not end the rest then.
    pub fn shares_pids(&self) -> bool {
        !self.is_new(Kind::Pid)
    }
}

fn open_file(path: &str) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| failure::kernel("open namespace", path, e))
}

/// Opens a process's, which is looked for in a handle of that very process: its number may have changed hands since
/// it was noted, and must not while it is opened.
fn open_of_process(process: &str, name: &str, start_ticks: u64) -> Result<OwnedFd> {
    let object = || format!("{process}/ns/{name}");
    let fail = |e| failure::kernel("open namespace", object(), e);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let process = rustix::fs::open(process, flags, Mode::empty()).map_err(fail)?;
    if state::start_ticks_in(process.as_fd()) != start_ticks {
        let why = "the process has ended and another one has its number";
        return Err(failure::refused(failure::Kind::FailedPrecondition, "open namespace", object(), why));
    }
    openat(&process, format!("ns/{name}"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(fail)
}

/// A child that a middle process made for us: nothing else reaps it, so its pid cannot have been reused.
pub fn pidfd_of_child(pid: i32) -> Result<OwnedFd> {
    let fail = |e: rustix::io::Errno| failure::kernel("pidfd_open", pid.to_string(), e);
    let raw = Pid::from_raw(pid).ok_or_else(|| fail(rustix::io::Errno::SRCH))?;
    pidfd_open(raw, PidfdFlags::empty()).map_err(fail)
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
