// SPDX-License-Identifier: Apache-2.0
//! The directories of a node, and their permissions.

use crate::error::Result;
use crate::ids::{ContainerId, PodId};
use crate::records::{make_dir, make_private_dir};
use std::path::PathBuf;

/// Where a node keeps its pods and containers.
#[derive(Debug, Clone)]
pub struct Places {
    /// Survives a reboot.
    pub root: PathBuf,
    /// Does not survive a reboot.
    pub state: PathBuf,
}

impl Places {
    /// `ROOT/pods/ID`.
    pub fn pod_root(&self, id: &PodId) -> PathBuf {
        self.root.join("pods").join(id.as_str())
    }

    /// `STATE/pods/ID`.
    pub fn pod_run(&self, id: &PodId) -> PathBuf {
        self.state.join("pods").join(id.as_str())
    }

    /// `ROOT/containers/ID`.
    pub fn container_root(&self, id: &ContainerId) -> PathBuf {
        self.root.join("containers").join(id.as_str())
    }

    /// `STATE/containers/ID`.
    pub fn container_run(&self, id: &ContainerId) -> PathBuf {
        self.state.join("containers").join(id.as_str())
    }

    /// `ROOT/trash`: a directory is removed by being moved here.
    pub fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// `ROOT/damaged`: directories with unreadable records are kept here for inspection.
    pub fn damaged(&self) -> PathBuf {
        self.root.join("damaged")
    }

    /// Makes the directories that must always exist.
    ///
    /// Every user can pass through `STATE`, to reach the socket, and through `STATE/containers`, where hooks that run in a
    /// user namespace find the container's root. Everything else is accessible only to root.
    ///
    /// # Errors
    /// The kernel's error, with the path.
    pub fn prepare(&self) -> Result<()> {
        make_dir(&self.root)?;
        for name in ["pods", "containers", "trash"] {
            make_private_dir(&self.root.join(name))?;
        }
        if self.damaged().exists() {
            make_private_dir(&self.damaged())?;
        }
        make_dir(&self.state)?;
        make_private_dir(&self.state.join("pods"))?;
        make_dir(&self.state.join("containers"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, metadata, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn directories_that_are_roots_alone_are_so_again_after_a_start() {
        let dir = tempfile::tempdir().expect("tempdir");
        let places = Places { root: dir.path().join("root"), state: dir.path().join("state") };
        places.prepare().expect("made");
        make_private_dir(&places.damaged()).expect("made");
        let private = [places.root.join("pods"), places.root.join("containers"), places.trash(), places.damaged()];
        let private = private.into_iter().chain([places.state.join("pods")]);
        for path in private.clone() {
            set_permissions(&path, Permissions::from_mode(0o755)).expect("widened");
        }
        places.prepare().expect("exist already");
        for path in private {
            assert_eq!(metadata(&path).expect("there").permissions().mode() & 0o7777, 0o700, "{}", path.display());
        }
    }
}
