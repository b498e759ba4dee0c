// SPDX-License-Identifier: Apache-2.0
//! The settings of both ends, most of them of IPv6, which the kernel takes through files only, in the namespace that the process is in.
//!
//! They are set before an end is up. What a new interface inherits depends on the node (`net.ipv6.conf.default`, and
//! `net.core.devconf_inherit_init_net` for a new namespace), so nothing is left to that.

use crate::failure::{self, Result};
use crate::proc_sys::ProcSys;
use std::io::ErrorKind;

/// Settles the host end: a pod cannot give the node routes by router advertisements, not even after somebody switched IPv6
/// on where the pod has none.
///
/// # Errors
/// The kernel's error, with the file.
pub(super) fn of_host_end(sys: &ProcSys, interface: &str, ipv6: bool) -> Result<()> {
    set(sys, interface, "accept_ra", "0")?;
    set(sys, interface, "disable_ipv6", if ipv6 { "0" } else { "1" })
}

/// Settles the pod's end: no router advertisements, and no wait for an answer to duplicate address detection. A pod with
/// IPv6 has it on loopback too, whatever its namespace began with.
///
/// # Errors
/// The kernel's error, with the file.
pub(super) fn of_pod(sys: &ProcSys, interface: &str, ipv6: bool) -> Result<()> {
    set(sys, interface, "accept_ra", "0")?;
    set(sys, interface, "accept_dad", "0")?;
    if ipv6 {
        set(sys, "lo", "disable_ipv6", "0")?;
    }
    set(sys, interface, "disable_ipv6", if ipv6 { "0" } else { "1" })
}

/// Has the kernel tell the link when the hardware address of an interface changes, or is set again, for both families.
///
/// # Errors
/// The kernel's error, with the file.
pub(super) fn announce_changes(sys: &ProcSys, interface: &str) -> Result<()> {
    set(sys, interface, "ndisc_notify", "1")?;
    let path = format!("net/ipv4/conf/{interface}/arp_notify");
    sys.write(&path, "1").map_err(|error| failure::kernel("set sysctl", format!("/proc/sys/{path} = 1"), error))
}

/// Writes a setting that differs. On a kernel without IPv6 there is no file, and nothing to settle.
fn set(sys: &ProcSys, interface: &str, setting: &str, value: &str) -> Result<()> {
    let path = format!("net/ipv6/conf/{interface}/{setting}");
    match sys.read(&path) {
        Ok(now) if now.trim_end() == value => return Ok(()),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        _ => {}
    }
    sys.write(&path, value).map_err(|error| failure::kernel("set sysctl", format!("/proc/sys/{path} = {value}"), error))
}
