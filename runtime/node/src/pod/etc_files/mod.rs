// SPDX-License-Identifier: Apache-2.0
//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` of a pod. They are written with the pod, and mounted into each of its
//! containers that does not have its own mount there. When a running pod gets other addresses, the same files follow.

mod added;
mod own_lines;
mod resolv_conf;

pub use own_lines::{OwnLines, follow};

use super::reached::Reached;
use super::{Network, Record, settings};
use crate::error::{Error, Result};
use crate::places::Places;
use gorae_kernel::record_file;
use gorae_proto::cri;
use own_lines::MAX_HOST_FILE;
use std::fs::{File, Permissions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The host's file; a pod without DNS settings gets a copy.
const HOST_RESOLV_CONF: &str = "/etc/resolv.conf";
/// The name servers that systemd-resolved queries; the file above names only its own loopback address.
const RESOLVED_UPSTREAMS: &str = "/run/systemd/resolve/resolv.conf";

/// The three files and their paths in a container.
pub const FILES: [(&str, &str); 3] =
    [("hostname", "/etc/hostname"), ("hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")];

/// Writes the files into the pod's directory. Every user can read them, whatever the daemon's umask is.
///
/// # Errors
/// `InvalidArgument` for DNS entries that would break the file's lines; `FailedPrecondition` for a name of a host that
/// nobody knows; the kernel's for the files.
pub fn write(dir: &Path, places: &Places, record: &Record, reached: &Reached) -> Result<()> {
    if let Network::Of { pod, .. } = &record.network {
        return copy(&places.pod_root(pod), dir);
    }
    let hostname = record.hostname()?;
    let extra = record.settings.as_ref().map(|settings| settings.hosts.as_slice()).unwrap_or_default();
    let mut hosts = match record.network {
        Network::Host => host_file("/etc/hosts"),
        _ => own_hosts(&hostname, &reached.addresses),
    };
    add_hosts(&mut hosts, &settings::hosts(extra, reached.node)?);
    let resolv = resolver_settings(record, reached)?;
    for (name, text) in [("hostname", format!("{hostname}\n").into_bytes()), ("hosts", hosts), ("resolv.conf", resolv)]
    {
        let path: PathBuf = dir.join(name);
        write_readable(&path, &text).map_err(|e| Error::io("write", &path, &e))?;
    }
    Ok(())
}

/// Leads a pod, whose files are written, to the name server of networks that people made. The file stays the same one, because
/// running containers have it mounted.
///
/// # Errors
/// As [`write`].
pub fn ask_names(dir: &Path, config: &cri::PodSandboxConfig) -> Result<()> {
    let path = dir.join("resolv.conf");
    let text = resolv_conf::asking_names(config.dns_config.as_ref(), &host_file(HOST_RESOLV_CONF))?;
    write_readable(&path, &text).map_err(|e| Error::io("write", &path, &e))
}

/// Undoes [`ask_names`]: the pod asks those again that it asked before.
///
/// # Errors
/// As [`write`].
pub fn ask_no_names(dir: &Path, record: &Record) -> Result<()> {
    let path = dir.join("resolv.conf");
    let text = resolver_settings(record, &Reached::default())?;
    write_readable(&path, &text).map_err(|e| Error::io("write", &path, &e))
}

/// The files of the pod whose network this one shares. Its containers may have written to them.
fn copy(of: &Path, to: &Path) -> Result<()> {
    FILES.iter().try_for_each(|(name, _)| {
        let (from, path) = (of.join(name), to.join(name));
        let text = record_file::read_bounded(&from, MAX_HOST_FILE).map_err(|e| Error::io("read", &from, &e))?;
        let text = text.ok_or_else(|| {
            Error::precondition(format!(
                "{} is larger than {MAX_HOST_FILE} bytes: shorten it in its pod",
                from.display()
            ))
        })?;
        write_readable(&path, &text).map_err(|e| Error::io("write", &path, &e))
    })
}

fn resolver_settings(record: &Record, reached: &Reached) -> Result<Vec<u8>> {
    let adds = record.settings.as_ref().is_some_and(|settings| settings.dns_adds);
    let host = || host_file(HOST_RESOLV_CONF);
    let reachable = || match record.network {
        Network::Host => host(),
        _ => resolv_conf::reachable(&host(), || host_file(RESOLVED_UPSTREAMS)),
    };
    match &record.config.dns_config {
        dns if reached.asks_names => resolv_conf::asking_names(dns.as_ref(), &host()),
        Some(dns) if adds => added::added(dns, &reachable()),
        Some(dns) => resolv_conf::of_settings(dns),
        None => Ok(reachable()),
    }
}

fn add_hosts(file: &mut Vec<u8>, extra: &[(IpAddr, String)]) {
    if !file.is_empty() && !file.ends_with(b"\n") {
        file.push(b'\n');
    }
    for (address, name) in extra {
        file.extend_from_slice(format!("{address}\t{name}\n").as_bytes());
    }
}

fn write_readable(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(text)
}

fn own_hosts(hostname: &str, ips: &[IpAddr]) -> Vec<u8> {
    let mut text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned();
    for ip in ips.iter().filter(|_| !hostname.is_empty()) {
        text += &own_lines::line(ip, hostname);
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
    use crate::ids::PodId;
    use gorae_proto::gorae::{HostName, PodNetworkSettings};

    #[test]
    fn the_files_are_for_every_user_to_read_whatever_the_umask_of_the_daemon() {
        let dir = tempfile::tempdir().expect("directory");
        let own = |name: &str| std::fs::metadata(dir.path().join(name)).expect("there").permissions().mode() & 0o7777;
        // An existing file with too few permission bits simulates one that was made under a strict umask.
        for (name, _) in FILES {
            std::fs::write(dir.path().join(name), "old").expect("written");
            std::fs::set_permissions(dir.path().join(name), Permissions::from_mode(0o600)).expect("set");
        }
        write(dir.path(), &places(dir.path()), &record("box"), &reached(&["10.64.0.2"])).expect("written");
        assert_eq!(FILES.map(|(name, _)| own(name)), [0o644; 3]);
        assert_eq!(std::fs::read(dir.path().join("hostname")).expect("there"), b"box\n");
    }

    fn places(dir: &Path) -> Places {
        Places { root: dir.join("root"), state: dir.join("state") }
    }

    fn record(hostname: &str) -> Record {
        let config = cri::PodSandboxConfig { hostname: hostname.into(), ..Default::default() };
        Record { network: Network::Loopback, ..crate::pod::test_record(config) }
    }

    fn reached(addresses: &[&str]) -> Reached {
        let addresses = addresses.iter().map(|ip| ip.parse().expect("address")).collect();
        Reached { addresses, node: Some([10, 64, 0, 1].into()), ..Reached::default() }
    }

    #[test]
    fn a_guest_has_the_files_of_its_host() {
        let dir = tempfile::tempdir().expect("directory");
        let places = places(dir.path());
        let host = PodId::of_digit('b');
        std::fs::create_dir_all(places.pod_root(&host)).expect("directory");
        for (name, _) in FILES {
            std::fs::write(places.pod_root(&host).join(name), name).expect("written");
        }
        let network = Network::Of { pod: host, hostname: "host".into() };
        let guest = Record { network, ..record("") };
        write(dir.path(), &places, &guest, &Reached::default()).expect("written");
        for (name, _) in FILES {
            assert_eq!(std::fs::read_to_string(dir.path().join(name)).expect("there"), name);
        }
        let Network::Of { pod, .. } = &guest.network else { panic!("it is a guest") };
        let grown = std::fs::File::create(places.pod_root(pod).join("hosts")).expect("made");
        grown.set_len(MAX_HOST_FILE + 1).expect("grown");
        let error = write(dir.path(), &places, &guest, &Reached::default()).expect_err("too large").to_string();
        assert!(error.contains("hosts is larger than"), "{error}");
    }

    #[test]
    fn names_that_people_add_are_below_the_pods_own() {
        let dir = tempfile::tempdir().expect("directory");
        let host = |name: &str, address: &str| HostName { name: name.into(), address: address.into() };
        let hosts = vec![host("printer", "192.0.2.9"), host("node", "host-gateway")];
        let settings = Some(PodNetworkSettings { hosts, ..Default::default() });
        let record = Record { settings, ..record("box") };
        write(dir.path(), &places(dir.path()), &record, &reached(&["10.64.0.2"])).expect("written");
        let text = std::fs::read_to_string(dir.path().join("hosts")).expect("there");
        assert!(text.ends_with("10.64.0.2\tbox\n192.0.2.9\tprinter\n10.64.0.1\tnode\n"), "{text}");
    }

    #[test]
    fn a_pod_knows_its_name_at_each_of_its_addresses() {
        let text = own_hosts("box", &["10.64.0.2", "fd00::2"].map(|ip| ip.parse().expect("address")));
        assert!(text.ends_with(b"ip6-loopback\n10.64.0.2\tbox\nfd00::2\tbox\n"));
        assert!(own_hosts("", &[[10, 64, 0, 2].into()]).ends_with(b"ip6-loopback\n"));
    }
}
