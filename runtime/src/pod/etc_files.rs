// SPDX-License-Identifier: Apache-2.0
//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` of a pod: made once, mounted into each of its containers
//! that brings no mount of its own there.

use crate::error::{Error, Result};
use gorae_proto::cri;
use std::path::{Path, PathBuf};

/// File of the host that a pod without DNS settings gets a copy of.
const HOST_RESOLV_CONF: &str = "/etc/resolv.conf";
/// The largest host file that is copied.
const MAX_HOST_FILE: u64 = 1 << 20;
/// Most entries of one DNS list.
const MAX_DNS_ENTRIES: usize = 64;

/// The three files and where they go in a container.
pub const FILES: [(&str, &str); 3] =
    [("hostname", "/etc/hostname"), ("hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")];

/// Writes the files into the pod's directory.
///
/// - Shapes: `hostname` is the pod's, or the node's for host network; `ip` the primary address.
///
/// # Errors
/// `InvalidArgument` for DNS entries that would break the file's lines; the kernel's for the files.
pub fn write(dir: &Path, config: &cri::PodSandboxConfig, hostname: &str, ip: Option<std::net::IpAddr>) -> Result<()> {
    let resolv = match &config.dns_config {
        Some(dns) => resolv_conf(dns)?,
        None => host_file(HOST_RESOLV_CONF),
    };
    let hosts = match ip {
        Some(ip) => hosts(hostname, ip),
        None => host_file("/etc/hosts"),
    };
    for (name, text) in [("hostname", format!("{hostname}\n").into_bytes()), ("hosts", hosts), ("resolv.conf", resolv)]
    {
        let path: PathBuf = dir.join(name);
        std::fs::write(&path, text).map_err(|e| Error::io("write", &path, &e))?;
    }
    Ok(())
}

fn hosts(hostname: &str, ip: std::net::IpAddr) -> Vec<u8> {
    let name = if hostname.is_empty() { String::new() } else { format!("{ip}\t{hostname}\n") };
    format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{name}").into_bytes()
}

fn host_file(path: &str) -> Vec<u8> {
    match std::fs::metadata(path) {
        Ok(m) if m.is_file() && m.len() <= MAX_HOST_FILE => std::fs::read(path).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn resolv_conf(dns: &cri::DnsConfig) -> Result<Vec<u8>> {
    let lists = [("servers", &dns.servers), ("searches", &dns.searches), ("options", &dns.options)];
    for (field, list) in lists {
        if list.len() > MAX_DNS_ENTRIES {
            return Err(Error::invalid(format!("dns_config.{field}: more than {MAX_DNS_ENTRIES} entries")));
        }
        if let Some(bad) = list.iter().find(|e| e.is_empty() || e.len() > 255 || e.contains(char::is_control)) {
            return Err(Error::invalid(format!("dns_config.{field}: {bad:?} is not an entry")));
        }
    }
    let mut text = String::new();
    if !dns.searches.is_empty() {
        text += &format!("search {}\n", dns.searches.join(" "));
    }
    for server in &dns.servers {
        text += &format!("nameserver {server}\n");
    }
    if !dns.options.is_empty() {
        text += &format!("options {}\n", dns.options.join(" "));
    }
    Ok(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(servers: &[&str], searches: &[&str], options: &[&str]) -> cri::DnsConfig {
        let own = |l: &[&str]| l.iter().map(|s| s.to_string()).collect();
        cri::DnsConfig { servers: own(servers), searches: own(searches), options: own(options) }
    }

    #[test]
    fn resolv_conf_has_a_line_per_kind() {
        let text = resolv_conf(&dns(&["10.0.0.1", "fd00::1"], &["a.b", "c"], &["ndots:5"])).expect("valid");
        assert_eq!(text, b"search a.b c\nnameserver 10.0.0.1\nnameserver fd00::1\noptions ndots:5\n");
    }

    #[test]
    fn present_but_empty_settings_make_an_empty_file() {
        assert_eq!(resolv_conf(&dns(&[], &[], &[])).expect("valid"), b"");
    }

    #[test]
    fn an_entry_cannot_add_lines() {
        for bad in ["1.1.1.1\nnameserver 6.6.6.6", "", "a\0"] {
            assert!(resolv_conf(&dns(&[bad], &[], &[])).is_err());
        }
    }
}
