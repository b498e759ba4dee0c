// SPDX-License-Identifier: Apache-2.0
//! The sysctls that a pod requests.

use super::options::namespaces;
use super::user_mapping::user_mapping;
use crate::error::{Error, Result};
use gorae_proto::cri::{self, NamespaceMode};
use gorae_proto::shim;
use std::collections::BTreeMap;

/// The most sysctls of one pod; a real pod has a handful.
const MAX_SYSCTLS: usize = 256;

/// The pod's sysctls and our defaults, each checked to belong to a namespace that is the pod's own.
///
/// # Errors
/// `InvalidArgument` for a name that is not namespaced, or whose namespace is the host's.
pub fn sysctls(config: &cri::PodSandboxConfig) -> Result<Vec<shim::Sysctl>> {
    let options = namespaces(config);
    let own_net = options.network() != NamespaceMode::Node;
    let own_ipc = options.ipc() != NamespaceMode::Node;
    let asked = config.linux.as_ref().map(|l| &l.sysctls);
    if asked.is_some_and(|a| a.len() > MAX_SYSCTLS) {
        return Err(Error::invalid(format!("more than {MAX_SYSCTLS} sysctls")));
    }
    let mut all = BTreeMap::new();
    if own_net {
        all.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
        if user_mapping(config)?.is_none() {
            all.insert("net.ipv4.ping_group_range".to_owned(), "0 2147483647".to_owned());
        }
    }
    for (name, value) in asked.into_iter().flatten() {
        let dotted = dotted(name);
        check_sysctl(&dotted, value, own_net, own_ipc)?;
        all.insert(dotted, value.clone());
    }
    Ok(all.into_iter().map(|(name, value)| shim::Sysctl { name, value }).collect())
}

/// Whether a sysctl is one of an interface, which may be made after the pod: `net.ipv4.conf.eth0.forwarding`.
pub fn is_of_interface(sysctl: &shim::Sysctl) -> bool {
    let separator = if sysctl.name.starts_with("net/") { '/' } else { '.' };
    let parts: Vec<&str> = sysctl.name.splitn(5, separator).collect();
    match parts[..] {
        ["net", _, "conf" | "neigh", interface, _] => !["all", "default", "lo"].contains(&interface),
        _ => false,
    }
}

/// The name with dots between its parts. As in sysctl(8) and in Kubernetes, the first separator in a name is the one in
/// use, and the other one is a dot or a slash of a part: an interface may be called `eth0.100`.
fn dotted(name: &str) -> String {
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    match name.find(['.', '/']).map(|at| name.as_bytes()[at]) {
        Some(b'/') => name.chars().map(swap).collect(),
        _ => name.to_owned(),
    }
}

fn check_sysctl(name: &str, value: &str, own_net: bool, own_ipc: bool) -> Result<()> {
    let refused = |why: &str| Err(Error::invalid(format!("sysctl {name:?}: {why}")));
    // A slash stands for a dot inside a part; a part of nothing but dots would lead elsewhere.
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/');
    let form = name.split('.').all(|part| part.bytes().all(plain) && part.bytes().any(|b| b != b'/'));
    if !form || name.len() > 255 {
        return refused("not a sysctl name");
    }
    if value.len() > 4096 || value.contains(['\0', '\n']) {
        return refused("the value has a newline or a NUL, or is longer than 4096 bytes");
    }
    let ipc = name.starts_with("kernel.shm")
        || name.starts_with("kernel.msg")
        || name == "kernel.sem"
        || name.starts_with("fs.mqueue.");
    if name.starts_with("net.") {
        if own_net { Ok(()) } else { refused("it needs the pod's own network namespace, and the pod uses the host's") }
    } else if ipc {
        if own_ipc { Ok(()) } else { refused("it needs the pod's own ipc namespace, and the pod uses the host's") }
    } else {
        refused("it is not namespaced and would change the whole node")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysctls_of_interfaces_are_told_from_those_of_the_namespace() {
        for (name, is) in [
            ("net.ipv4.conf.eth0.forwarding", true),
            ("net/ipv6/neigh/net1/gc_stale_time", true),
            ("net.ipv4.conf.eth0/100.forwarding", true),
            ("net.ipv4.conf.all.forwarding", false),
            ("net.ipv4.neigh.default.gc_thresh1", false),
            ("net.ipv6.conf.lo.disable_ipv6", false),
            ("net.core.somaxconn", false),
            ("net.ipv4.conf.eth0", false),
            ("kernel.sem", false),
        ] {
            assert_eq!(is_of_interface(&shim::Sysctl { name: name.into(), value: "1".into() }), is, "{name}");
        }
    }

    #[test]
    fn a_dot_in_the_name_of_an_interface_stays_one() {
        for (name, expected) in [
            ("net.ipv4.conf.eth0.forwarding", "net.ipv4.conf.eth0.forwarding"),
            ("net/ipv4/conf/eth0/forwarding", "net.ipv4.conf.eth0.forwarding"),
            ("net.ipv4.conf.eth0/100.forwarding", "net.ipv4.conf.eth0/100.forwarding"),
            ("net/ipv4/conf/eth0.100/forwarding", "net.ipv4.conf.eth0/100.forwarding"),
        ] {
            assert_eq!(dotted(name), expected);
            assert!(check_sysctl(expected, "1", true, true).is_ok(), "{name}");
        }
    }

    #[test]
    fn no_name_leads_out_of_its_directory() {
        for name in ["net/../kernel/core_pattern", "net.//.x", "net./.x", "net..x", "net.", "/net/x", ".net", "net.a b"]
        {
            assert!(check_sysctl(&dotted(name), "1", true, true).is_err(), "{name}");
        }
    }
}
