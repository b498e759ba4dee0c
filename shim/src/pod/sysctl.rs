// SPDX-License-Identifier: Apache-2.0
//! The pod's sysctls: turns names into paths, and writes values inside the pod's namespaces.
//!
//! The daemon has checked the names. A sysctl that does not belong to a namespace of the pod is refused here again, because
//! writing it would change the node.

use super::own::Own;
use crate::failure::{self, Result};
use crate::malformed::{self, Malformed};
use crate::proc_sys::ProcSys;
use crate::wire;

/// A sysctl of a namespace that the pod has of its own.
#[derive(Debug)]
pub struct Sysctl {
    /// As in the request.
    name: String,
    /// The path below /proc/sys.
    path: String,
    value: String,
}

impl Sysctl {
    /// Checks the message.
    ///
    /// # Errors
    /// For an invalid name, and for a sysctl that the pod shares with the node.
    pub fn checked(sysctl: wire::Sysctl, own: Own) -> malformed::Result<Self> {
        let wire::Sysctl { name, value } = sysctl;
        let refuse = |why: &str| Malformed::new("name", format!("{name:?} {why}"));
        let path = path(&name).ok_or_else(|| refuse("is not the name of a sysctl"))?;
        if !is_pods(&path, own) {
            return Err(refuse("does not belong to a namespace of the pod"));
        }
        Ok(Self { name, path, value })
    }
}

/// Writes every sysctl, in order. The process must be in the pod's namespaces, and root in the one that owns them.
///
/// # Errors
/// The first that failed, with its name.
pub fn apply(sys: &ProcSys, sysctls: &[Sysctl]) -> Result<()> {
    sysctls.iter().try_for_each(|Sysctl { name, path, value }| {
        sys.write(path, value).map_err(|error| failure::kernel("set sysctl", format!("{name} = {value}"), error))
    })
}

/// The path below /proc/sys. As in sysctl(8), the first separator in the name is the one in use, and the other stands for a
/// literal `.` in a path component: `net.ipv4.conf.eth0/100.forwarding` is `net/ipv4/conf/eth0.100/forwarding`.
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

fn is_pods(path: &str, own: Own) -> bool {
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
    (path.starts_with("net/") && own.net)
        || ((path.starts_with("fs/mqueue/") || IPC.contains(&path)) && own.ipc)
        || (path == "kernel/domainname" && own.uts)
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
        let none = Own { net: false, ipc: false, uts: false, pid: false };
        let (net, ipc) = (Own { net: true, ..none }, Own { ipc: true, ..none });
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
            assert_eq!((is_pods(path, net), is_pods(path, ipc)), (of_net, of_ipc), "{path}");
        }
    }
}
