// SPDX-License-Identifier: Apache-2.0
//! The first process of a pod whose containers share a PID namespace.
//!
//! It is a fork of the set-up process, and sleeps: the kernel reaps for it (SIGCHLD is ignored), every other signal is
//! ignored, and only killing the pod's cgroup ends it. Containers see it as pid 1, so it must be useless to them: no
//! descriptor, an empty root directory in its own mount namespace, no capability, and an identity of its own. (With the
//! node's root, `/proc/1/root` would be a way out for a container with ptrace rights.)

use crate::cgroup::Cgroup;
use crate::failure::{self, Result};
use crate::fault::Reporter;
use crate::sys::{self, Forked, Single};
use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsmount, fsopen, mount_change, move_mount, unmount,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, ThreadNameSpaceType, set_capabilities, set_thread_res_gid, set_thread_res_uid,
};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The user of the init where that id exists.
const NOBODY: u32 = 65_534;

/// The name that `ps` shows, on the node and in the pod.
const NAME: &CStr = c"gorae-pod-init";

/// What the init needs before it gives everything up.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Its own cgroup, below the pod's.
    pub cgroup: Option<&'a Cgroup>,
    /// Any directory, to mount the empty root on.
    pub mount_point: &'a Path,
    /// Whether the pod has a user namespace; the init then runs as its root.
    pub own_user: bool,
}

/// Starts it in a new PID namespace; returns its pid.
///
/// - Shapes: the init reports a failure through `reporter`, or closes it once it is ready.
///
/// # Errors
/// The kernel's error of the clone.
pub fn spawn(plan: &Plan<'_>, reporter: &Reporter, single: Single) -> Result<i32> {
    let cgroup = plan.cgroup.and_then(Cgroup::unified);
    let flags = (libc::CLONE_NEWPID | libc::CLONE_NEWNS) as u64;
    match sys::clone3(single, flags, cgroup).map_err(|e| failure::kernel("start", "the pod's init", e))? {
        Forked::Parent { pid, .. } => Ok(pid),
        Forked::Child(in_child) => match settle(plan) {
            // Its end of the fault channel is closed with everything else, which reports success.
            Ok(()) => sys::sleep_with_nothing(in_child),
            Err(failure) => reporter.fail(failure),
        },
    }
}

fn settle(plan: &Plan<'_>) -> Result<()> {
    plan.cgroup.map_or(Ok(()), Cgroup::join_v1)?;
    let fail = |errno| failure::kernel("set up", "the pod's init", errno);
    sys::unshare(ThreadNameSpaceType::CONTROL_GROUP)
        .map_err(|e| failure::kernel("unshare", "the init's cgroup namespace", e))?;
    // Opened here, in the new mount namespace and still as the node's root: other users may not be able to reach it.
    let mount_point = open_dir(plan.mount_point).map_err(fail)?;
    if plan.own_user {
        become_id(0).map_err(fail)?;
    }
    empty_root(mount_point.as_fd()).map_err(|e| failure::kernel("empty the root of", "the pod's init", e))?;
    if !plan.own_user {
        become_id(NOBODY).map_err(fail)?;
    }
    let nothing = CapabilitySet::empty();
    let none = CapabilitySets { effective: nothing, permitted: nothing, inheritable: nothing };
    set_capabilities(None, none).map_err(fail)?;
    rustix::thread::set_no_new_privs(true).map_err(fail)?;
    // Names and the rest are cosmetic and may fail. They are visible in the pod, so they reveal nothing about the node.
    let _ = rustix::thread::set_name(NAME);
    sys::set_title(&[NAME.to_owned()]);
    let _ = rustix::process::setsid();
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    sys::ignore_signals();
    Ok(())
}

/// Becomes `id` as user and only group. With id 0, the capabilities in the user namespace are kept.
pub(super) fn become_id(id: u32) -> std::result::Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    rustix::thread::set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)
}

fn open_dir(path: &Path) -> std::result::Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Replaces the root of this process's own mount namespace with an empty read-only directory.
pub(crate) fn empty_root(mount_point: BorrowedFd<'_>) -> std::result::Result<(), Errno> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&fs)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let root = fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    let empty_paths = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(&root, "", mount_point, "", empty_paths)?;
    rustix::process::fchdir(&root)?;
    rustix::process::pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")
}
