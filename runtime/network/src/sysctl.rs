// SPDX-License-Identifier: Apache-2.0
//! The sysctls below `/proc/sys/net` that routing between bridge and node needs.
//!
//! Node-wide sysctls are only ever switched on, and stay on, because other programs may rely on them by then.

use crate::error::NetworkError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const NET: &str = "/proc/sys/net";

/// Lets the node route IPv4 between interfaces.
///
/// # Errors
/// [`NetworkError::Sysctl`], for example when `/proc/sys` is read-only and the sysctl is off.
pub fn forward_ipv4() -> Result<(), NetworkError> {
    set(&Path::new(NET).join("ipv4/ip_forward"), "1")
}

/// Lets the node route IPv6. Interfaces that learn their routes from router advertisements keep doing so; by default
/// the kernel would ignore the advertisements once forwarding is on. What interfaces that come later do is not ours to
/// decide.
///
/// # Errors
/// As [`forward_ipv4`].
pub fn forward_ipv6() -> Result<(), NetworkError> {
    let all = Path::new(NET).join("ipv6/conf/all/forwarding");
    if read(&all).as_deref() == Some("1") {
        return Ok(());
    }
    let interfaces = std::fs::read_dir(Path::new(NET).join("ipv6/conf")).into_iter().flatten().flatten();
    let each = interfaces.filter(|entry| entry.file_name() != "all" && entry.file_name() != "default");
    for accept_ra in each.map(|entry| entry.path().join("accept_ra")) {
        if read(&accept_ra).as_deref() == Some("1") {
            set(&accept_ra, "2")?;
        }
    }
    set(&all, "1")
}

/// Prepares a new bridge: router advertisements from pods are ignored, and without an IPv6 subnet IPv6 is off.
///
/// # Errors
/// As [`forward_ipv4`].
pub fn settle_bridge(bridge: &str, ipv6: bool) -> Result<(), NetworkError> {
    let conf = Path::new(NET).join("ipv6/conf").join(bridge);
    if !conf.is_dir() {
        return Ok(());
    }
    set(&conf.join("accept_ra"), "0")?;
    // Nothing else can have the gateway's address; duplicate detection would delay the first pod by a second.
    set(&conf.join("accept_dad"), "0")?;
    set(&conf.join("disable_ipv6"), if ipv6 { "0" } else { "1" })
}

/// Lets the node answer on the bridge for pods that are not on it, at once: the pods of an earlier daemon, which are,
/// look for every address of the subnet there.
///
/// # Errors
/// As [`forward_ipv4`].
pub fn answer_on_bridge(bridge: &str, ipv6: bool) -> Result<(), NetworkError> {
    let net = Path::new(NET);
    set(&net.join("ipv4/conf").join(bridge).join("proxy_arp"), "1")?;
    set(&net.join("ipv4/neigh").join(bridge).join("proxy_delay"), "0")?;
    if ipv6 {
        set(&net.join("ipv6/conf").join(bridge).join("proxy_ndp"), "1")?;
        set(&net.join("ipv6/neigh").join(bridge).join("proxy_delay"), "0")?;
    }
    Ok(())
}

/// Lets packets from 127.0.0.0/8 leave over an interface, or not any more. Let them only while the table's guard exists,
/// because it also lets pods in. An interface that is gone, or whose name stands for all of them, is left alone.
///
/// # Errors
/// As [`forward_ipv4`].
pub fn route_loopback(interface: &str, on: bool) -> Result<(), NetworkError> {
    let Some(path) = route_localnet(interface) else { return Ok(()) };
    match set(&path, if on { "1" } else { "0" }) {
        // It went meanwhile.
        Err(NetworkError::Sysctl { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether such packets do not leave over an interface by its own setting.
pub fn drops_loopback(interface: &str) -> bool {
    route_localnet(interface).and_then(|path| read(&path)).as_deref() == Some("0")
}

fn route_localnet(interface: &str) -> Option<PathBuf> {
    let conf = Path::new(NET).join("ipv4/conf").join(interface);
    let one = !matches!(interface, "all" | "default" | "lo") && conf.is_dir();
    one.then(|| conf.join("route_localnet"))
}

fn set(path: &Path, value: &'static str) -> Result<(), NetworkError> {
    if read(path).as_deref() == Some(value) {
        return Ok(());
    }
    let fail = |path: PathBuf, source| NetworkError::Sysctl { path, value, source };
    match std::fs::write(path, value) {
        Err(e) if e.kind() == ErrorKind::NotFound && path.starts_with("/proc/sys/net/ipv6") => Ok(()),
        other => other.map_err(|source| fail(path.into(), source)),
    }
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned())
}
