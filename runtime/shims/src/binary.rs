// SPDX-License-Identifier: Apache-2.0
//! The shim binary as it is at the daemon's start, behind a mount of its own.
//!
//! Shims are started from a detached read-only mount of the binary: a container that reaches /proc/PID/exe of a shim can
//! neither write nor chmod the node's file through it (CVE-2019-5736). The mount pins the file that existed when this
//! daemon started, so a running daemon never launches a shim from a different build after an upgrade.

use crate::error::Result;
use crate::oneshot::mount_binary;
use crate::spawn::Spawner;
use std::path::PathBuf;

impl Spawner {
    /// Makes a spawner for the binary at that path, as it is now.
    ///
    /// # Errors
    /// When the binary cannot be started, or cannot be mounted.
    pub async fn open(path: PathBuf) -> Result<Self> {
        let hint = || format!("try {}; install the gorae-shim of this goraed's build", path.display());
        let mount = mount_binary(&Self::by_path(path.clone())).await.map_err(|e| e.during(hint()))?;
        Ok(Self::by_mount(path, mount))
    }
}
