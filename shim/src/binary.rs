// SPDX-License-Identifier: Apache-2.0
//! The shim's own binary as the daemon starts it: to be executed, not to be changed.
//!
//! A container can have the shim executed once more inside it, with a program that begins with `#!/proc/self/exe`. Its
//! /proc/PID/exe is then a handle on the node's file, which root inside could chmod, or write once it no longer runs
//! (CVE-2019-5736). A process that was started through a read-only mount shows the file on that mount, where neither
//! works.

use crate::failure::Result;
use crate::tree::{Reach, clone_path};
use rustix::mount::MountAttrFlags;
use std::os::fd::OwnedFd;
use std::path::Path;

/// The running file, even if another one has its name by now.
const SELF: &str = "/proc/self/exe";

/// Mounts the binary of this process alone, read-only, attached nowhere.
///
/// Not nosuid: SELinux would then keep it in the daemon's domain.
pub fn detached() -> Result<OwnedFd> {
    clone_path(Path::new(SELF), Reach::Top, MountAttrFlags::MOUNT_ATTR_RDONLY)
}
