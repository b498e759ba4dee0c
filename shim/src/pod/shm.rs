// SPDX-License-Identifier: Apache-2.0
//! The pod's /dev/shm: a tmpfs of its own that its containers bind-mount.

use super::namespaces::{detach, gone};
use crate::failure::{self, Result};
use crate::idmap::IdMaps;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use std::ffi::CString;
use std::path::{Path, PathBuf};

/// Its size, the usual default of container runtimes.
const BYTES: u64 = 64 << 20;

fn path(run_dir: &Path) -> PathBuf {
    run_dir.join("shm")
}

/// Mounts it. With a user namespace, it belongs to that namespace's root.
///
/// # Errors
/// The kernel's error, with the directory.
pub fn make(run_dir: &Path, ids: Option<&IdMaps>) -> Result<()> {
    let path = path(run_dir);
    let fail = |errno: Errno| failure::kernel("mount shared memory", path.display().to_string(), errno);
    match rustix::fs::mkdir(&path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(fail(errno)),
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let options = CString::new(options(ids)).map_err(|_| fail(Errno::INVAL))?;
    mount("shm", &path, "tmpfs", flags, Some(options.as_c_str())).map_err(fail)
}

fn options(ids: Option<&IdMaps>) -> String {
    let mut options = format!("mode=1777,size={BYTES}");
    if let Some((uid, gid)) = ids.map(IdMaps::host_root) {
        options += &format!(",uid={uid},gid={gid}");
    }
    options
}

/// Unmounts and removes it. Containers that have it mounted keep it until they exit.
///
/// # Errors
/// The kernel's error, with the directory. A missing one is fine.
pub fn remove(run_dir: &Path) -> Result<()> {
    let path = path(run_dir);
    detach(&path)?;
    match rustix::fs::rmdir(&path) {
        // It was already unmounted, and a container that got the bare directory has written to it.
        Err(Errno::NOTEMPTY) => {
            let removed = std::fs::remove_dir_all(&path);
            removed.map_err(|e| {
                failure::refused(failure::Kind::Internal, "remove", path.display().to_string(), &e.to_string())
            })
        }
        other => gone("remove directory", &path, other),
    }
}
