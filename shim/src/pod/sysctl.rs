// SPDX-License-Identifier: Apache-2.0
//! The pod's sysctls: names to paths, and writing them inside the pod's namespaces.
//!
//! The daemon has checked the names; a name of something that no namespace of the pod holds is refused here once
//! more, since the write would change the node.

use crate::failure::{self, Kind, Result};
use crate::wire::{SetupPod, Sysctl};
use std::fs::OpenOptions;
use std::io::Write;

/// Writes every sysctl, in order. The process must be in the pod's namespaces, and root in the one that owns them.
///
/// - Errors: the first that failed, by its name.
pub fn apply(setup: &SetupPod) -> Result<()> {
    setup.sysctls.iter().try_for_each(|sysctl| write(setup, sysctl))
}

fn write(setup: &SetupPod, sysctl: &Sysctl) -> Result<()> {
    let refuse = |why| failure::refused(Kind::InvalidArgument, "set sysctl", &sysctl.name, why);
    let path = path(&sysctl.name).ok_or_else(|| refuse("not a sysctl's name"))?;
    if !is_pods(&path, setup) {
        return Err(refuse("does not belong to a namespace of the pod"));
    }
    OpenOptions::new()
        .write(true)
        .open(format!("/proc/sys/{path}"))
        .and_then(|mut file| file.write_all(sysctl.value.as_bytes()))
        .map_err(|error| failure::kernel("set sysctl", format!("{} = {}", sysctl.name, sysctl.value), error))
}

/// The path below /proc/sys. As in sysctl(8), the first separator tells which of the two separates; the other one
/// then stands for itself, swapped: `net.ipv4.conf.eth0/100.forwarding` is `net/ipv4/conf/eth0.100/forwarding`.
fn path(name: &str) -> Option<String> {
    let separator = name.find(['.', '/']).map(|at| name.as_bytes()[at])?;
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    let path: String = if separator == b'.' { name.chars().map(swap).collect() } else { name.to_owned() };
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    path.split('/').all(plain).then_some(path)
}

fn is_pods(path: &str, setup: &SetupPod) -> bool {
    const IPC: [&str; 8] = [
        "kernel/shmmax",
        "kernel/shmall",
        "kernel/shmmni",
        "kernel/shm_rmid_forced",
        "kernel/msgmax",
        "kernel/msgmnb",
        "kernel/msgmni",
        "kernel/sem",
    ];
    (path.starts_with("net/") && setup.own_net)
        || ((path.starts_with("fs/mqueue/") || IPC.contains(&path)) && setup.own_ipc)
        || (path == "kernel/domainname" && setup.own_uts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_separators_name_the_same_file() {
        for (name, expected) in [
            ("net.ipv4.ip_forward", Some("net/ipv4/ip_forward")),
            ("net/ipv4/ip_forward", Some("net/ipv4/ip_forward")),
            ("net.ipv4.conf.eth0/100.forwarding", Some("net/ipv4/conf/eth0.100/forwarding")),
            ("net/ipv4/conf/eth0.100/forwarding", Some("net/ipv4/conf/eth0.100/forwarding")),
            ("kernel.sem", Some("kernel/sem")),
            ("nothing", None),
            ("net/../kernel/core_pattern", None),
            ("net.//.x", None),
            ("/net/x", None),
            ("", None),
        ] {
            assert_eq!(path(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn only_what_a_namespace_of_the_pod_holds_is_the_pods() {
        let net = SetupPod { own_net: true, ..Default::default() };
        let ipc = SetupPod { own_ipc: true, ..Default::default() };
        for (path, of_net, of_ipc) in [
            ("net/core/somaxconn", true, false),
            ("kernel/shmmax", false, true),
            ("kernel/msgmax", false, true),
            ("fs/mqueue/msg_max", false, true),
            ("kernel/core_pattern", false, false),
            ("kernel/shm", false, false),
            ("fs/file-max", false, false),
            ("vm/swappiness", false, false),
        ] {
            assert_eq!((is_pods(path, &net), is_pods(path, &ipc)), (of_net, of_ipc), "{path}");
        }
    }
}
