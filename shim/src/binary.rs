// SPDX-License-Identifier: Apache-2.0
//! The shim's own binary as the daemon starts it: to be executed, not to be changed.
//!
//! A program of a container that says `#!/proc/self/exe` is the shim once more, inside; who looks at its /proc/PID/exe
//! there holds the node's file in the hand, and may chmod what it may not write while it runs (CVE-2019-5736). A
//! process that was started through a read-only mount shows the file on that mount, where neither works.

use crate::failure::Result;
use crate::tree::{Reach, clone_path};
use rustix::mount::MountAttrFlags;
use std::os::fd::OwnedFd;
use std::path::Path;

/// The file that runs, whatever has its name by now.
const SELF: &str = "/proc/self/exe";

/// Mounts the binary of this process alone, read-only, attached nowhere.
///
/// Not nosuid: SELinux would then keep it in the daemon's domain.
pub fn detached() -> Result<OwnedFd> {
    clone_path(Path::new(SELF), Reach::Top, MountAttrFlags::MOUNT_ATTR_RDONLY)
}
