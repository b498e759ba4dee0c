// SPDX-License-Identifier: Apache-2.0
//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` of a pod: made once, mounted into each of its containers
//! that brings no mount of its own there.

use crate::error::{Error, Result};
use gorae_proto::cri;
use std::fs::{File, Permissions};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// File of the host that a pod without DNS settings gets a copy of.
const HOST_RESOLV_CONF: &str = "/etc/resolv.conf";
/// The name servers behind systemd-resolved, where the file above names but its own address on the loopback.
const RESOLVED_UPSTREAMS: &str = "/run/systemd/resolve/resolv.conf";
/// What systemd-resolved listens on: its answers, and what it passes on as it is.
const RESOLVED: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54))];
/// The largest host file that is copied.
const MAX_HOST_FILE: u64 = 1 << 20;
/// Most entries of one DNS list.
const MAX_DNS_ENTRIES: usize = 64;

/// The three files and where they go in a container.
pub const FILES: [(&str, &str); 3] =
    [("hostname", "/etc/hostname"), ("hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")];

/// Writes the files into the pod's directory.
///
/// - Shapes: `hostname` is the pod's, or the node's for host network; `ip` the primary address, `None` for host network.
///   Everybody may read the files, whatever the daemon's umask.
///
/// # Errors
/// `InvalidArgument` for DNS entries that would break the file's lines; the kernel's for the files.
pub fn write(dir: &Path, config: &cri::PodSandboxConfig, hostname: &str, ip: Option<IpAddr>) -> Result<()> {
    let resolv = match (&config.dns_config, ip) {
        (Some(dns), _) => resolv_conf(dns)?,
        (None, None) => host_file(HOST_RESOLV_CONF),
        (None, Some(_)) => reachable(&host_file(HOST_RESOLV_CONF), || host_file(RESOLVED_UPSTREAMS)),
    };
    let hosts = match ip {
        Some(ip) => hosts(hostname, ip),
        None => host_file("/etc/hosts"),
    };
    for (name, text) in [("hostname", format!("{hostname}\n").into_bytes()), ("hosts", hosts), ("resolv.conf", resolv)]
    {
        let path: PathBuf = dir.join(name);
        write_readable(&path, &text).map_err(|e| Error::io("write", &path, &e))?;
    }
    Ok(())
}

fn write_readable(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(text)
}

fn hosts(hostname: &str, ip: IpAddr) -> Vec<u8> {
    let name = if hostname.is_empty() { String::new() } else { format!("{ip}\t{hostname}\n") };
    format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{name}").into_bytes()
}

fn host_file(path: &str) -> Vec<u8> {
    match std::fs::metadata(path) {
        Ok(m) if m.is_file() && m.len() <= MAX_HOST_FILE => std::fs::read(path).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The host's resolver settings as far as they mean something inside of a pod, where the loopback is the pod's own: name
/// servers there are left out, or, when systemd-resolved is all there is, replaced by those that it asks. None is made up
/// when none is left: a pod without DNS settings then has no name server, and the log says so.
fn reachable(host: &[u8], upstreams: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let asked: Vec<IpAddr> = host.split(|&b| b == b'\n').filter_map(name_server).collect();
    let resolved_alone = !asked.is_empty() && asked.iter().all(|server| RESOLVED.contains(server));
    let upstreams = resolved_alone.then(upstreams).filter(|text| !text.is_empty());
    let source = upstreams.as_deref().unwrap_or(host);
    let is_inside = |line: &&[u8]| !name_server(line).is_some_and(is_of_the_host_alone);
    let kept: Vec<&[u8]> = source.split_inclusive(|&b| b == b'\n').filter(is_inside).collect();
    if !asked.is_empty() && !kept.iter().any(|line| line.starts_with(b"nameserver")) {
        tracing::warn!(
            "the pod gets no name server: it has no DNS settings, and those of {HOST_RESOLV_CONF} are on the loopback"
        );
    }
    kept.concat()
}

/// The address of a `nameserver` line, in the C library's reading of it: the keyword first, then one word.
fn name_server(line: &[u8]) -> Option<IpAddr> {
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.strip_prefix("nameserver").filter(|rest| rest.starts_with([' ', '\t']))?;
    let address = rest.split_whitespace().next()?;
    address.parse().ok().or_else(|| short_loopback(address))
}

/// `127.1` and its like, which the C library takes, too.
fn short_loopback(address: &str) -> Option<IpAddr> {
    let numbers: Vec<u32> = address.split('.').map(str::parse).collect::<std::result::Result<_, _>>().ok()?;
    (numbers.len() < 4 && numbers.first() == Some(&127)).then_some(Ipv4Addr::LOCALHOST.into())
}

/// An address that means the very machine, in each pod another. The C library takes "every address" for it, too.
fn is_of_the_host_alone(server: IpAddr) -> bool {
    let server = server.to_canonical();
    server.is_loopback() || server.is_unspecified()
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
    fn the_files_are_for_every_user_to_read_whatever_the_umask_of_the_daemon() {
        let dir = tempfile::tempdir().expect("directory");
        let own = |name: &str| std::fs::metadata(dir.path().join(name)).expect("there").permissions().mode() & 0o7777;
        // A file that is there with too few bits stands for one that a strict umask has made.
        for (name, _) in FILES {
            std::fs::write(dir.path().join(name), "old").expect("written");
            std::fs::set_permissions(dir.path().join(name), Permissions::from_mode(0o600)).expect("set");
        }
        write(dir.path(), &cri::PodSandboxConfig::default(), "box", Some([10, 64, 0, 2].into())).expect("written");
        assert_eq!(FILES.map(|(name, _)| own(name)), [0o644; 3]);
        assert_eq!(std::fs::read(dir.path().join("hostname")).expect("there"), b"box\n");
    }

    fn copied(host: &str, upstreams: &str) -> String {
        String::from_utf8(reachable(host.as_bytes(), || upstreams.as_bytes().to_vec())).expect("UTF-8")
    }

    #[test]
    fn name_servers_on_the_hosts_loopback_are_not_copied_and_the_rest_is() {
        let host = "# ours\nnameserver 127.0.0.1\nnameserver\t10.0.0.53\nsearch a.b\noptions edns0\nnameserver ::1\n";
        assert_eq!(copied(host, "unused"), "# ours\nnameserver\t10.0.0.53\nsearch a.b\noptions edns0\n");
        for alone in ["127.0.0.1", "127.3.2.1", "127.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"] {
            assert_eq!(
                copied(&format!("nameserver {alone} # x\nsearch a"), "nameserver 9.9.9.9\n"),
                "search a",
                "{alone}"
            );
        }
        for kept in
            ["nameserver 10.0.0.1\n", "nameserver fd00::53\n", "nameserver fe80::1%eth0\n", "nameservers 127.0.0.1", ""]
        {
            assert_eq!(copied(kept, "unused"), kept);
        }
    }

    #[test]
    fn behind_systemd_resolved_a_pod_asks_the_servers_that_it_asks() {
        let stub = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n";
        let real = "nameserver 192.0.2.53\nnameserver 127.0.0.1\nsearch lan\n";
        assert_eq!(copied(stub, real), "nameserver 192.0.2.53\nsearch lan\n");
        assert_eq!(copied(stub, ""), "options edns0 trust-ad\nsearch lan\n", "it does not run");
        assert_eq!(copied("nameserver 127.0.0.53\nnameserver 10.0.0.1\n", real), "nameserver 10.0.0.1\n");
        assert_eq!(copied("nameserver 127.0.0.53\nnameserver 127.0.0.1\n", real), "", "another server decides there");
    }

    #[test]
    fn an_entry_cannot_add_lines() {
        for bad in ["1.1.1.1\nnameserver 6.6.6.6", "", "a\0"] {
            assert!(resolv_conf(&dns(&[bad], &[], &[])).is_err());
        }
    }
}
