// SPDX-License-Identifier: Apache-2.0
//! The shim's own binary as the daemon starts it: it can be executed but not changed.
//!
//! A container can make the shim execute again inside it, with a program that begins with `#!/proc/self/exe`. Its
//! /proc/PID/exe is then a handle on the node's file, which root inside could chmod, or write once it no longer runs
//! (CVE-2019-5736). For a process that was started through a read-only mount, it is a handle on that mount, where neither
//! works.

use crate::failure::Result;
use crate::tree::{Reach, clone_path};
use rustix::mount::MountAttrFlags;
use std::os::fd::OwnedFd;
use std::path::Path;

/// The running file, even if another file has its name by now.
const SELF: &str = "/proc/self/exe";

/// Mounts only the binary of this process, read-only and attached nowhere.
///
/// Not nosuid: SELinux would then keep it in the daemon's domain.
///
/// # Errors
/// The kernel's error, with the path of the binary.
pub fn detached() -> Result<OwnedFd> {
    clone_path(Path::new(SELF), Reach::Top, MountAttrFlags::MOUNT_ATTR_RDONLY)
}
