// SPDX-License-Identifier: Apache-2.0
//! A reboot of the node, as far as a daemon can tell: another boot id, no process, no mount, no interface and no rule of
//! before, and what is kept in memory only is gone. The registry goes on.

use crate::leaks::hierarchies;
use crate::node::Node;
use crate::place;
use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Where the kernel tells the boot id.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The boot id that the node sees; dropping it shows the machine's own again.
#[derive(Debug)]
pub struct Boots {
    id: PathBuf,
}

impl Boots {
    /// Covers the boot id by a file below `directory`.
    ///
    /// # Errors
    /// When that fails.
    pub fn covered(directory: &Path) -> Result<Boots> {
        place::assert_own_namespaces();
        let boots = Boots { id: directory.join("boot_id") };
        std::fs::copy(BOOT_ID, &boots.id)?;
        mount(Some(&boots.id), BOOT_ID, None::<&str>, MsFlags::MS_BIND, None::<&str>).context("cover the boot id")?;
        Ok(boots)
    }

    /// Ends the daemon and everything that a reboot ends. The daemon is not started again.
    ///
    /// # Errors
    /// When something cannot be ended.
    pub async fn reboot(&self, node: &Node, number: usize) -> Result<()> {
        node.daemon().kill();
        end_processes().await?;
        for mount in mounts_below(&[node.daemon().root(), node.daemon().state(), "/run/netns".into()]) {
            umount2(&mount, MntFlags::MNT_DETACH).with_context(|| format!("unmount {}", mount.display()))?;
        }
        std::fs::remove_dir_all(node.daemon().state())?;
        for link in crate::cni::links().iter().filter(|link| *link != "lo") {
            // The other end of a pair goes with the first.
            let _ = Command::new("ip").args(["link", "delete", link]).output();
        }
        let flushed = Command::new("nft").args(["flush", "ruleset"]).status()?;
        anyhow::ensure!(flushed.success(), "nft flush ruleset: {flushed}");
        std::fs::write(&self.id, format!("00000000-0000-4000-8000-{number:012}\n"))?;
        Ok(())
    }
}

impl Drop for Boots {
    fn drop(&mut self) {
        // What fails here shows in the leak check.
        let _ = umount2(BOOT_ID, MntFlags::MNT_DETACH);
    }
}

/// Kills all shims and all that is in cgroups of the daemon, and removes these.
async fn end_processes() -> Result<()> {
    for _ in 0..100 {
        let (groups, shims) = (groups(), shims());
        let members = groups.iter().flat_map(|group| std::fs::read_to_string(group.join("cgroup.procs")));
        let members: Vec<i32> =
            members.flat_map(|text| text.lines().flat_map(str::parse).collect::<Vec<_>>()).collect();
        if groups.is_empty() && shims.is_empty() {
            return Ok(());
        }
        for pid in shims.into_iter().chain(members) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        // The deepest first.
        groups.iter().rev().for_each(|group| drop(std::fs::remove_dir(group)));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("processes of the node do not end")
}

/// The cgroups of the daemon in all hierarchies, parents first.
fn groups() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for hierarchy in hierarchies() {
        below(&hierarchy.join("gorae"), &mut found);
    }
    found
}

fn below(group: &Path, found: &mut Vec<PathBuf>) {
    if group.is_dir() {
        found.push(group.to_owned());
    }
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path(), found);
        }
    }
}

fn shims() -> Vec<i32> {
    let ids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_shim = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c == "gorae-shim\n");
    ids.filter(is_shim).collect()
}

/// What is mounted below these directories, the deepest first.
fn mounts_below(directories: &[PathBuf]) -> Vec<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let places = text.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
    let is_below = |place: &PathBuf| directories.iter().any(|dir| place.starts_with(dir) && place != dir);
    let mut found: Vec<PathBuf> = places.filter(is_below).collect();
    found.reverse();
    found
}
