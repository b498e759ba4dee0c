// SPDX-License-Identifier: Apache-2.0
//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` of a pod. They are written once, and mounted into each of its
//! containers that does not have its own mount there.

mod resolv_conf;

use crate::error::{Error, Result};
use gorae_proto::cri;
use std::fs::{File, Permissions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The host's file; a pod without DNS settings gets a copy.
const HOST_RESOLV_CONF: &str = "/etc/resolv.conf";
/// The name servers that systemd-resolved queries; the file above names only its own loopback address.
const RESOLVED_UPSTREAMS: &str = "/run/systemd/resolve/resolv.conf";
/// The largest host file that is copied.
const MAX_HOST_FILE: u64 = 1 << 20;

/// The three files and their paths in a container.
pub const FILES: [(&str, &str); 3] =
    [("hostname", "/etc/hostname"), ("hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")];

/// Writes the files into the pod's directory.
///
/// - Shapes: `hostname` is the pod's, or the node's for host network; `ips` are its addresses, none for host network.
///   Every user can read the files, whatever the daemon's umask is.
///
/// # Errors
/// `InvalidArgument` for DNS entries that would break the file's lines; the kernel's for the files.
pub fn write(dir: &Path, config: &cri::PodSandboxConfig, hostname: &str, ips: &[IpAddr]) -> Result<()> {
    let resolv = match (&config.dns_config, ips) {
        (Some(dns), _) => resolv_conf::of_settings(dns)?,
        (None, []) => host_file(HOST_RESOLV_CONF),
        (None, _) => resolv_conf::reachable(&host_file(HOST_RESOLV_CONF), || host_file(RESOLVED_UPSTREAMS)),
    };
    let hosts = match ips {
        [] => host_file("/etc/hosts"),
        ips => hosts(hostname, ips),
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

fn hosts(hostname: &str, ips: &[IpAddr]) -> Vec<u8> {
    let mut text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned();
    for ip in ips.iter().filter(|_| !hostname.is_empty()) {
        text += &format!("{ip}\t{hostname}\n");
    }
    text.into_bytes()
}

fn host_file(path: &str) -> Vec<u8> {
    match std::fs::metadata(path) {
        Ok(m) if m.is_file() && m.len() <= MAX_HOST_FILE => std::fs::read(path).unwrap_or_default(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_for_every_user_to_read_whatever_the_umask_of_the_daemon() {
        let dir = tempfile::tempdir().expect("directory");
        let own = |name: &str| std::fs::metadata(dir.path().join(name)).expect("there").permissions().mode() & 0o7777;
        // An existing file with too few permission bits simulates one that was made under a strict umask.
        for (name, _) in FILES {
            std::fs::write(dir.path().join(name), "old").expect("written");
            std::fs::set_permissions(dir.path().join(name), Permissions::from_mode(0o600)).expect("set");
        }
        write(dir.path(), &cri::PodSandboxConfig::default(), "box", &[[10, 64, 0, 2].into()]).expect("written");
        assert_eq!(FILES.map(|(name, _)| own(name)), [0o644; 3]);
        assert_eq!(std::fs::read(dir.path().join("hostname")).expect("there"), b"box\n");
    }

    #[test]
    fn a_pod_knows_its_name_at_each_of_its_addresses() {
        let text = hosts("box", &["10.64.0.2", "fd00::2"].map(|ip| ip.parse().expect("address")));
        assert!(text.ends_with(b"ip6-loopback\n10.64.0.2\tbox\nfd00::2\tbox\n"));
        assert!(hosts("", &[[10, 64, 0, 2].into()]).ends_with(b"ip6-loopback\n"));
    }
}
