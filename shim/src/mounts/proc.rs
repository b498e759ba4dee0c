// SPDX-License-Identifier: Apache-2.0
//! procfs of a shared PID namespace, made by the shim, which is outside it.
//!
//! procfs shows the PID namespace of the process that opens its context (`fsopen`), or, since Linux 6.17, the one that
//! an option names. On older kernels a process inside has to open it, and other processes there may be able to trace
//! it. So that process holds nothing worth tracing:
//!
//! ```text
//! shim ──clone3──> opener, outside     the pod's namespaces; an empty root; a user namespace without a single id
//!                    ──clone(CLONE_PARENT)──> the opener, inside: a socket, CAP_SYS_ADMIN over that user namespace,
//!                    '── exit                  and a filter: fsopen, sendmsg, exit. It sends the context and ends
//! ```

use super::filesystem;
use crate::cgroup::Cgroup;
use crate::failure::{self, Failure, Kind, Result};
use crate::fault::{self, Outcome, Reporter};
use crate::namespaces::Namespaces;
use crate::pod::init::empty_root;
use crate::reap;
use crate::sys::{self, Forked, InChild, Single};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{FsOpenFlags, MountAttrFlags, fsconfig_set_fd, fsopen};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use rustix::thread::{CapabilitySet, CapabilitySets, ThreadNameSpaceType, set_capabilities};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The file system type that `statfs` reports for procfs.
pub(super) const MAGIC: i64 = 0x9fa0;

/// Enough for two processes to make some twenty system calls. A process that may trace the one inside can stop it.
const PATIENCE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// Where the opener runs, if one is needed.
#[derive(Debug, Clone, Copy)]
pub struct Opener<'a> {
    /// The namespaces of the container that gets the procfs.
    pub namespaces: &'a Namespaces,
    /// Its cgroup.
    pub cgroup: &'a Cgroup,
    /// Allows the clone.
    pub single: Single,
}

impl Opener<'_> {
    /// Makes the procfs of the PID namespace behind `pin`, attached nowhere yet.
    ///
    /// # Errors
    /// The kernel's error; `DeadlineExceeded` and `PermissionDenied` when a process inside interferes.
    pub fn detached(&self, pin: BorrowedFd<'_>, options: &str, attributes: MountAttrFlags) -> Result<OwnedFd> {
        let context = match named(pin)? {
            Some(context) => context,
            None => self.open_inside()?,
        };
        let tree = filesystem::mounted(&context, "proc", options, attributes)?;
        // A process that traces the opener may have sent something else.
        let stat = rustix::fs::fstatfs(&tree).map_err(|e| failure::kernel("statfs", "proc", e))?;
        if stat.f_type as i64 != MAGIC {
            let why = "something in the pod sent another file system";
            return Err(failure::refused(Kind::PermissionDenied, "mount", "proc", why));
        }
        Ok(tree)
    }

    /// Gets a context from a process inside, which opens it.
    fn open_inside(&self) -> Result<OwnedFd> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(|e| failure::kernel("make socket", "opener of proc", e))?;
        let (watcher, reporter) = fault::channel()?;
        let forked = sys::clone3(self.single, 0, self.cgroup.unified())
            .map_err(|e| failure::kernel("clone3", "opener of proc", e))?;
        if let Forked::Child(in_child) = forked {
            drop((ours, watcher));
            open(in_child, self.namespaces, self.cgroup, &theirs, &reporter);
        }
        drop((theirs, reporter));
        let context = receive(&ours);
        // They are done, or given up.
        for pid in reap::children().into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
            let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
        }
        match (watcher.wait(), context) {
            (Outcome::Failed(failure), _) => Err(failure),
            (_, context) => context,
        }
    }
}

/// Opens a context for the PID namespace behind `pin`; `None` when this kernel does not support that.
fn named(pin: BorrowedFd<'_>) -> Result<Option<OwnedFd>> {
    let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|e| failure::kernel("fsopen", "proc", e))?;
    match fsconfig_set_fd(&context, "pidns", pin) {
        Ok(()) => Ok(Some(context)),
        Err(Errno::INVAL) => Ok(None),
        Err(e) => Err(failure::kernel("set option", "pidns of proc", e)),
    }
}

/// Runs the opener, outside and inside. Never returns.
fn open(in_child: InChild, namespaces: &Namespaces, cgroup: &Cgroup, socket: &OwnedFd, reporter: &Reporter) -> ! {
    if let Err(failure) = let_go(namespaces, cgroup) {
        reporter.fail(failure);
    }
    // Only the socket stays open, as stdin.
    let placed = rustix::stdio::dup2_stdin(socket).map_err(std::io::Error::from);
    let socket = match placed.and_then(|()| sys::close_from(in_child, 1)) {
        Ok(()) => rustix::stdio::stdin(),
        Err(e) => reporter.fail(failure::kernel("close descriptors", "opener of proc", e)),
    };
    let born = sys::load_seccomp(&filter(), 0).and_then(|()| sys::clone_sibling(in_child));
    let context = match born {
        Ok(Some(_)) => sys::exit_now(0),
        Ok(None) => fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC),
        Err(e) => Err(Errno::from_io_error(&e).unwrap_or(Errno::IO)),
    };
    let sent = send(socket, context);
    sys::exit_now(i32::from(sent.is_err()))
}

/// Leaves everything of the host behind.
fn let_go(namespaces: &Namespaces, cgroup: &Cgroup) -> Result<()> {
    let fail = |e| failure::kernel("set up", "opener of proc", e);
    cgroup.join_v1()?;
    namespaces.join()?;
    namespaces.enter_pids()?;
    // A place for the empty root: paths are looked up in the new mount namespace.
    let and_users = ThreadNameSpaceType::USER | ThreadNameSpaceType::MOUNT;
    // Where user namespaces are not allowed, the filter still protects.
    sys::unshare(and_users).or_else(|_| sys::unshare(ThreadNameSpaceType::MOUNT)).map_err(fail)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, "/", flags, Mode::empty()).map_err(fail)?;
    empty_root(root.as_fd()).map_err(fail)?;
    sys::set_title(&[c"proc".to_owned()]);
    let _ = rustix::thread::set_name(c"proc");
    let only = CapabilitySet::SYS_ADMIN;
    let sets = CapabilitySets { effective: only, permitted: only, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(fail)
}

/// The calls that the opener makes from there on, and no others.
fn filter() -> Vec<u8> {
    const ALLOW: u32 = 0x7fff_0000;
    const KILL: u32 = 0x8000_0000;
    let calls = [libc::SYS_fsopen, libc::SYS_sendmsg, libc::SYS_exit_group, sys::SIBLING.0];
    let load_number = (0x20, 0, 0, 0);
    let tests =
        calls.iter().zip((1..=calls.len() as u8).rev()).map(|(call, to_allow)| (0x15, to_allow, 0, *call as u32));
    let answers = [(0x06, 0, 0, KILL), (0x06, 0, 0, ALLOW)];
    let program = [load_number].into_iter().chain(tests).chain(answers);
    let bytes =
        |(code, yes, no, k): (u16, u8, u8, u32)| [&code.to_ne_bytes()[..], &[yes, no], &k.to_ne_bytes()].concat();
    program.flat_map(bytes).collect()
}

/// Sends the context, or the errno if there is none.
fn send(socket: BorrowedFd<'_>, context: rustix::io::Result<OwnedFd>) -> rustix::io::Result<usize> {
    let errno = context.as_ref().map_or_else(|e| e.raw_os_error(), |_| 0).to_ne_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let rights = [context.as_ref().map_or(socket, AsFd::as_fd)];
    if context.is_ok() {
        control.push(SendAncillaryMessage::ScmRights(&rights));
    }
    sendmsg(socket, &[IoSlice::new(&errno)], &mut control, SendFlags::NOSIGNAL)
}

fn receive(socket: &OwnedFd) -> Result<OwnedFd> {
    let mut readable = [PollFd::new(socket, PollFlags::IN)];
    let came = poll(&mut readable, Some(&PATIENCE)).map_err(|e| failure::kernel("wait for", "opener of proc", e))?;
    if came == 0 {
        return Err(lost(Kind::DeadlineExceeded, "does not respond; something in the pod may have stopped it"));
    }
    let mut errno = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(socket, &mut [IoSliceMut::new(&mut errno)], &mut control, RecvFlags::CMSG_CLOEXEC)
        .map_err(|e| failure::kernel("receive", "context of proc", e))?;
    let rights = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
        _ => None,
    });
    match (rights, i32::from_ne_bytes(errno)) {
        (Some(context), _) => Ok(context),
        (None, 0) => Err(lost(Kind::Internal, "exited early")),
        (None, errno) => Err(failure::kernel("fsopen", "proc, inside", Errno::from_raw_os_error(errno))),
    }
}

fn lost(kind: Kind, why: &str) -> Failure {
    failure::refused(kind, "mount", "proc: its opener inside the pod", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::allows;

    #[test]
    fn the_openers_filter_leaves_what_it_does_and_nothing_else() {
        let filter = filter();
        for call in [libc::SYS_fsopen, libc::SYS_sendmsg, libc::SYS_exit_group, libc::SYS_clone] {
            assert!(allows(&filter, (call, [0; 6])), "{call}");
        }
        let forbidden = [libc::SYS_execve, libc::SYS_openat, libc::SYS_mount, libc::SYS_fsmount, libc::SYS_setns];
        assert!(!forbidden.into_iter().any(|call| allows(&filter, (call, [0; 6]))));
    }
}
