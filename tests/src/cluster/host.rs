// SPDX-License-Identifier: Apache-2.0
//! One machine of a cluster: network, mount, IPC, UTS and cgroup namespaces that a keeper holds, and its address on the link.
//!
//! Processes keep their ids: the machines share the process namespace of the test, which starts and ends each of them.

use super::link::{CONTROL, LINK};
use super::run::{Running, output};
use crate::leaks;
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// Puts a process into the cgroups of its machine before it becomes the command.
const JOIN: &str = "for group in $0; do echo 0 >\"$group/cgroup.procs\" || exit 125; done; exec \"$@\"";

/// What a machine has for itself. Only this mount namespace sees it, and it goes with it.
const INSIDE: &str = r#"
    set -euo pipefail
    hostname "$1"
    mount --make-rshared /
    while read -r place kind options; do
        flags=$(tr , "\n" <<<"$options" | grep -vE "^(rw|ro|relatime|nosuid|nodev|noexec|nsdelegate|memory_.*)$" \
            | paste -sd, || true)
        umount "$place"
        mount -t "$kind" ${flags:+-o "$flags"} "$kind" "$place"
    done <<<"$GORAE_TEST_HIERARCHIES"
    for place in /etc/cni /opt/cni /run/cni /run/netns /var/lib /var/log; do
        mount -t tmpfs -o mode=755 machine "$place"
    done
    mkdir -p /var/lib/cni /var/lib/kubelet /var/log/containers /var/log/pods /etc/cni/net.d /opt/cni/bin
    # Kubelet would set these for the whole machine.
    settings=$2
    while read -r name value; do
        echo "$value" >"$settings/${name//\//-}"
        mount --bind "$settings/${name//\//-}" "/proc/sys/$name"
    done <<<"vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000"
    ip link set lo up
    echo 1 >/proc/sys/net/ipv4/ip_forward
    echo ready
    exec cat >/dev/null
"#;

/// A machine. Dropping it kills whatever still runs on it, and ends its namespaces.
#[derive(Debug)]
pub struct Host {
    name: String,
    address: Ipv4Addr,
    groups: Vec<PathBuf>,
    keeper: Child,
    _open: ChildStdin,
}

impl Host {
    /// Makes a machine with a directory for its files, and joins it to the link.
    ///
    /// # Errors
    /// When a namespace, a cgroup or the link cannot be made.
    pub fn new(name: &str, address: Ipv4Addr, home: &Path) -> Result<Host> {
        let settings = home.join("settings");
        std::fs::create_dir_all(&settings)?;
        let groups = make_groups(name)?;
        let mut command = Command::new("sh");
        command.args(["-c", JOIN, &words(&groups)]);
        command.args(["unshare", "--net", "--mount", "--propagation", "private", "--ipc", "--uts", "--cgroup"]);
        command.args(["bash", "-c", INSIDE, "machine", name]).arg(settings);
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("run unshare")?;
        let open = keeper.stdin.take().context("its input is a pipe")?;
        let mut said = String::new();
        BufReader::new(keeper.stdout.take().context("its output is a pipe")?).read_line(&mut said)?;
        let host = Host { name: name.to_owned(), address, groups, keeper, _open: open };
        ensure!(said.trim() == "ready", "the namespaces of {name} could not be made: see above");
        host.join_link()?;
        Ok(host)
    }

    fn join_link(&self) -> Result<()> {
        let (end, keeper) = (format!("to-{}", self.name), self.keeper.id().to_string());
        output("ip", &["link", "add", &end, "type", "veth", "peer", "name", "eth0", "netns", &keeper])?;
        output("ip", &["link", "set", &end, "master", LINK, "up"])?;
        self.output(&["ip", "address", "add", &format!("{}/24", self.address), "dev", "eth0"])?;
        self.output(&["ip", "link", "set", "eth0", "up"])?;
        self.output(&["ip", "route", "add", "default", "via", &CONTROL.to_string()])?;
        Ok(())
    }

    /// Its host name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the link.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The words that make a command run on this machine; its process becomes the command's.
    #[must_use]
    pub fn within(&self) -> Vec<String> {
        let keeper = self.keeper.id().to_string();
        let enter = ["nsenter", "--target", &keeper, "--net", "--mount", "--ipc", "--uts", "--cgroup", "--"];
        let join = ["sh".to_owned(), "-c".to_owned(), JOIN.to_owned(), words(&self.groups)];
        join.into_iter().chain(enter.map(str::to_owned)).collect()
    }

    /// A path of this machine, as the test sees it.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.keeper.id()))
    }

    /// Runs a command on this machine to its end and returns what it printed.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn output(&self, command: &[&str]) -> Result<String> {
        let within = self.within();
        let all: Vec<_> = within.iter().map(String::as_str).chain(command.iter().copied()).collect();
        output(all[0], &all[1..]).with_context(|| format!("on {}", self.name))
    }

    /// Starts a program on this machine, which learns the machine's name as `NODE_NAME`, with a log in a directory.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn start(&self, program: &Path, words: &[String], home: &Path) -> Result<Running> {
        let within = self.within();
        let mut command = Command::new(&within[0]);
        command.args(&within[1..]).arg(program).args(words).env("NODE_NAME", &self.name);
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        Running::start(&format!("{name} of {}", self.name), command, &home.join(format!("{name}.log")))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        // A namespace goes in the kernel's own time; its end of the link is gone at once.
        let _ = output("ip", &["link", "delete", &format!("to-{}", self.name)]);
        self.groups.iter().for_each(|group| kill_all(group));
        self.groups.iter().for_each(|group| remove_groups(group));
    }
}

/// One group of the machine in each hierarchy.
fn make_groups(name: &str) -> Result<Vec<PathBuf>> {
    let mut groups = Vec::new();
    for hierarchy in leaks::hierarchies() {
        let group = hierarchy.join(name);
        std::fs::create_dir(&group).with_context(|| format!("make the cgroup {}", group.display()))?;
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let (Ok(all), true) = (std::fs::read(hierarchy.join(file)), group.join("tasks").exists()) {
                std::fs::write(group.join(file), all)?;
            }
        }
        groups.push(group);
    }
    Ok(groups)
}

/// Kills every process of a group and of those below it: after a failure, containers and their shims.
fn kill_all(group: &Path) {
    for pid in std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines() {
        if let Ok(pid @ 2..) = pid.parse() {
            // It fails only when the process has ended already.
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
    below(group).iter().for_each(|group| kill_all(group));
}

fn below(group: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(group).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

/// Removes a group and all below it, as soon as its last process is gone. What is not empty is found by the leak check.
fn remove_groups(group: &Path) {
    below(group).iter().for_each(|group| remove_groups(group));
    for _ in 0..50 {
        match std::fs::remove_dir(group) {
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                std::thread::sleep(Duration::from_millis(20))
            }
            _ => return,
        }
    }
}

fn words(groups: &[PathBuf]) -> String {
    groups.iter().map(|group| group.display().to_string()).collect::<Vec<_>>().join(" ")
}
