// SPDX-License-Identifier: Apache-2.0
//! The parent's side of a container: cgroup, detached overlay, clone, and waiting for execve and for the end.

use super::cgroup::{Cgroups, Entry};
use super::child::Child;
use super::phases::Clock;
use super::pod::Host;
use super::sys;
use anyhow::{Context, Result, ensure};
use rustix::fs::Mode;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitOptions, waitpid};
use std::os::fd::OwnedFd;
use std::path::Path;

/// What a container is made of.
pub struct Container<'a> {
    /// Its cgroup below the floor's.
    pub name: &'a str,
    /// Where `lower`, `upper`, `work` and `root` are.
    pub directory: &'a Path,
}

impl Container<'_> {
    /// Makes it and waits until its program has ended. This process is in the pod's namespaces before, not after.
    pub fn run(&self, cgroups: &Cgroups, host: &Host, clock: &mut Clock) -> Result<()> {
        cgroups.make(self.name, true)?;
        let entry = cgroups.entry(self.name)?;
        clock.lap("ctr: cgroup with limits");
        let overlay = self.overlay().context("overlay")?;
        clock.lap("ctr: overlay");
        let (fault, fault_of_child) = pipe_with(PipeFlags::CLOEXEC)?;
        let child = Child { root: self.directory.join("root"), overlay, entry: &entry };
        let born_in = if let Entry::Directory(dir) = &entry { Some(dir) } else { None };
        let Some(pid) = sys::clone(born_in)? else {
            let error = child.become_container();
            let _ = rustix::io::write(&fault_of_child, format!("{error:#}").as_bytes());
            sys::exit_now(99);
        };
        drop((child, fault_of_child));
        host.return_home()?;
        self.wait_for_exec(fault)?;
        clock.lap("ctr: clone to execve");
        let status = waitpid(Some(pid), WaitOptions::empty())?.context("the child is there")?.1;
        ensure!(status.exit_status() == Some(0), "the container's program ended with {status:?}");
        clock.lap("end: exit seen");
        Ok(())
    }

    fn overlay(&self) -> Result<OwnedFd> {
        let at = |name: &str| self.directory.join(name);
        for name in ["upper", "work"] {
            rustix::fs::mkdir(at(name), Mode::from_raw_mode(0o755))?;
        }
        let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&fs, "lowerdir", at("lower"))?;
        fsconfig_set_string(&fs, "upperdir", at("upper"))?;
        fsconfig_set_string(&fs, "workdir", at("work"))?;
        fsconfig_create(&fs)?;
        Ok(fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
    }

    /// End of file is success: execve closed the child's end.
    fn wait_for_exec(&self, fault: OwnedFd) -> Result<()> {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut std::fs::File::from(fault), &mut said)?;
        ensure!(said.is_empty(), "in the child: {said}");
        Ok(())
    }
}
