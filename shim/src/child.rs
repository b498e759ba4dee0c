// SPDX-License-Identifier: Apache-2.0
//! The container's first process, from the clone to its program: one named step per line.
//!
//! It runs in a copy of the shim's memory, with the shim's descriptors. A failure is reported on the fault channel and
//! ends the process; `run` never returns.
//!
//! With its own PID namespace it is the container's first process. In a shared one, other processes would see it
//! together with the shim's memory and descriptors. So it stays outside, and its last step is to create the container's
//! first process inside ([`Newborn`]).

use crate::cgroup::Cgroup;
use crate::devices;
use crate::failure::{self, Result};
use crate::fault::Reporter;
use crate::gate::ChildSide;
use crate::hooks::{self, Hooks};
use crate::mounts::{self, Plan};
use crate::namespaces::{Kind, Namespaces};
use crate::newborn::Newborn;
use crate::order::{Order, Rootfs};
use crate::program::Program;
use crate::rootfs::{Point, Root};
use crate::sys::InChild;
use crate::tree::{self, Reach};
use rustix::fs::CWD;
use rustix::mount::{
    MountAttrFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags, mount_change, move_mount, unmount,
};
use rustix::process::{chdir, fchdir, pivot_root};
use std::os::fd::OwnedFd;

/// What the shim passes to the child.
#[derive(Debug)]
pub struct Child<'a> {
    /// What the daemon ordered.
    pub order: &'a Order,
    /// Its cgroup, already created.
    pub cgroup: &'a Cgroup,
    /// Its namespaces, with their pins open.
    pub namespaces: &'a Namespaces,
    /// The overlay, detached.
    pub overlay: OwnedFd,
    /// All mounts.
    pub plan: Plan<'a>,
    /// The program to become.
    pub program: &'a Program,
    /// stdin, stdout, stderr.
    pub streams: [&'a OwnedFd; 3],
    /// Where to wait for the hooks that the shim runs; `None` without hooks before the pivot.
    pub gate: Option<ChildSide>,
}

impl Child<'_> {
    /// Runs all the steps and never returns.
    pub fn run(self, in_child: InChild, reporter: Reporter) -> ! {
        let (program, streams, terminal) = (self.program, self.streams, self.order.process.terminal);
        let joins_others = self.namespaces.pin(Kind::Pid).is_some();
        match self.enter() {
            Ok(()) if joins_others => Newborn { program, streams, terminal }.spawn(in_child, reporter, None),
            Ok(()) => program.run(in_child, streams, terminal, reporter),
            Err(failure) => reporter.fail(failure),
        }
    }

    fn enter(self) -> Result<()> {
        let Self { order, cgroup, namespaces, overlay, plan, program, streams, gate } = self;
        let late = gate.zip(order.hooks.as_deref());
        join(order, cgroup, namespaces)?;
        if late.is_none() {
            program.label.set()?;
        }
        namespaces.become_root()?;
        let root = mount_root(overlay, order)?;
        fill_root(&root, plan, order, program)?;
        if order.process.terminal {
            mount_console(&root, streams[0])?;
        }
        make_directories(&root, order, program)?;
        if let Some((gate, hooks)) = late {
            run_hooks(gate, hooks)?;
            // Not earlier: the label applies to the next exec, and the hooks are host programs.
            program.label.set()?;
        }
        mounts::read_only(&root, &order.readonly_paths)?;
        mounts::mask(&root, &order.masked_paths)?;
        pivot(&root)?;
        finish_root(&root, &order.rootfs)?;
        if !cgroup.is_v2() {
            // As late as possible: the set-up runs with the shim's weight and memory, not with a small container's.
            cgroup.join_v1()?;
            namespaces.unshare_cgroup()?;
        }
        namespaces.enter_pids()
    }
}

/// Joins the namespaces that a process can join itself, in a session of its own.
fn join(order: &Order, cgroup: &Cgroup, namespaces: &Namespaces) -> Result<()> {
    if cgroup.is_v2() {
        // The process was created in the cgroup. The mounts that are made later show this namespace.
        namespaces.unshare_cgroup()?;
    }
    namespaces.join()?;
    rustix::process::setsid().map_err(|e| failure::kernel("setsid", "self", e))?;
    set_oom_score_adj(order.process.oom_score_adj)
}

/// Attaches the mounts and makes the device nodes that are not in the container's own /dev.
fn fill_root(root: &Root, plan: Plan<'_>, order: &Order, program: &Program) -> Result<()> {
    let own_dev = plan.own_dev;
    mounts::attach_all(root, plan)?;
    match own_dev {
        true => devices::make_elsewhere(root, devices::outside_dev(&order.devices), &program.user),
        false => devices::make_elsewhere(root, order.devices.iter(), &program.user),
    }
}

/// Waits for the shim's hooks, then runs those that run in the container's namespaces.
fn run_hooks(gate: ChildSide, hooks: &Hooks) -> Result<()> {
    let pid = gate.wait_for_release()?;
    hooks::run(hooks, hooks::Point::CreateContainer, pid)
}

/// Cuts this namespace's mounts off from the host's and puts the overlay on top of "/"; with hooks, it goes into the
/// bundle.
fn mount_root(overlay: OwnedFd, order: &Order) -> Result<Root> {
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(|e| failure::kernel("set propagation", "/", e))?;
    let place = order.hooks.as_ref().map_or_else(|| "/".into(), |hooks| hooks.rootfs());
    move_mount(&overlay, "", CWD, &place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|e| failure::kernel("mount", place.display().to_string(), e))?;
    Ok(Root::new(overlay))
}

/// Makes `root` the root. The old one is stacked below the new one and detached with everything in it.
fn pivot(root: &Root) -> Result<()> {
    fchdir(root).map_err(|e| failure::kernel("chdir", "/", e))?;
    pivot_root(".", ".").map_err(|e| failure::kernel("pivot_root", "/", e))?;
    unmount(".", UnmountFlags::DETACH).map_err(|e| failure::kernel("unmount", "host root", e))?;
    chdir("/").map_err(|e| failure::kernel("chdir", "/", e))
}

/// Sets the root's own attributes. They come last, because mount points had to be created in it.
fn finish_root(root: &Root, rootfs: &Rootfs) -> Result<()> {
    let attributes = if rootfs.readonly { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
    tree::change(root, Reach::Top, attributes, rootfs.propagation, "/")
}

/// Mounts the container's terminal on `/dev/console`.
fn mount_console(root: &Root, terminal: &OwnedFd) -> Result<()> {
    let point = root.make(b"/dev/console", Point::File)?;
    let tree = tree::clone_peer(terminal, Reach::Top, "/dev/console")?;
    mounts::attach(root, tree, &point, "/dev/console")
}

/// Creates the working directory and the volumes that the image declares: users expect them to exist.
fn make_directories(root: &Root, order: &Order, program: &Program) -> Result<()> {
    root.make(program.cwd.as_bytes(), Point::Directory)?;
    let mut directories = order.rootfs.directories.iter();
    directories.try_for_each(|directory| root.make(directory.as_bytes(), Point::Directory).map(drop))
}

/// Without CAP_SYS_RESOURCE the score can only be raised; a score lower than ours is then not applied.
fn set_oom_score_adj(score: Option<i32>) -> Result<()> {
    let Some(score) = score else { return Ok(()) };
    match std::fs::write("/proc/self/oom_score_adj", score.to_string()) {
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        other => other.map_err(|e| failure::kernel("set oom_score_adj", score.to_string(), e)),
    }
}
