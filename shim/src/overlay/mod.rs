// SPDX-License-Identifier: Apache-2.0
//! A container's overlay as a detached mount: it is in no mount table until the child attaches it in its own mount
//! namespace.
//!
//! Writable overlays are `volatile`: a container's changes never outlive a reboot, and otherwise every unmount would sync
//! the whole underlying file system. In a pod with a user namespace, every layer is id-mapped (an overlay itself cannot
//! be), and new files are owned by the namespace's ids.
//!
//! There are three ways to pass the layers, depending on the kernel: descriptors (6.13, and 6.15 for detached mounts),
//! paths one by one (6.7), and the old option string in the mount namespace of a helper process. In that string, the short
//! name of a descriptor stands for each path, so its 4 kB hold about 200 layers.

mod helper;
mod parts;
mod top;

use crate::failure::{self, Failure, Result};
use crate::idmap;
use crate::rootfs::explain;
use crate::sys::Single;
use crate::tree::{Reach, clone_path};
use parts::Parts;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_fd, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use top::Top;

/// Makes a container's writable directories and its root file system. `owner` are the host's ids of the container's root
/// user.
///
/// # Errors
/// The kernel's error, with the layer or the directory; `Unimplemented` when the kernel does not take as many layers.
pub fn writable(
    layers: &[String],
    root_dir: &Path,
    user_namespace: Option<BorrowedFd<'_>>,
    owner: (u32, u32),
    single: Single,
) -> Result<OwnedFd> {
    build(&writable_parts(layers, root_dir, user_namespace, owner)?, single)
}

/// The same for a kernel that does not accept layers one by one; [`writable`] falls back to it.
///
/// # Errors
/// As [`writable`].
pub fn writable_by_helper(
    layers: &[String],
    root_dir: &Path,
    user_namespace: Option<BorrowedFd<'_>>,
    owner: (u32, u32),
    single: Single,
) -> Result<OwnedFd> {
    helper::build(&writable_parts(layers, root_dir, user_namespace, owner)?, single)
}

fn writable_parts<'a>(
    layers: &'a [String],
    root_dir: &Path,
    user_namespace: Option<BorrowedFd<'a>>,
    owner: (u32, u32),
) -> Result<Parts<'a>> {
    let (upper, work) = (root_dir.join("upper"), root_dir.join("work"));
    make_dir(&work, owner)?;
    if make_new(&upper)?
        && let Some(layer) = layers.first()
    {
        // The container sees the attributes of upper as those of its "/".
        Top::of(layer, user_namespace, owner).and_then(|top| top.apply(&upper)).inspect_err(|_| {
            let _ = fs::remove_dir(&upper);
        })?;
    }
    let upper_and_work = Some((upper, work));
    Ok(Parts { layers, upper_and_work, user_namespace })
}

/// A read-only view of layers (top first).
///
/// # Errors
/// The kernel's error, with the layer; `Unimplemented` when the kernel does not take as many layers.
pub fn read_only(layers: &[String], user_namespace: Option<BorrowedFd<'_>>, single: Single) -> Result<OwnedFd> {
    if let [only] = layers {
        let tree = clone_path(Path::new(only), Reach::Top, MountAttrFlags::empty())?;
        return user_namespace.map_or(Ok(()), |ns| idmap::set(&tree, ns, Reach::Top, only)).map(|()| tree);
    }
    build(&Parts { layers, upper_and_work: None, user_namespace }, single)
}

/// Whether an earlier start has left files that the container continues with.
pub fn has_files(root_dir: &Path) -> bool {
    root_dir.join("upper").exists()
}

/// Removes the directories that [`writable`] made.
pub fn remove(root_dir: &Path) {
    for name in ["upper", "work"] {
        let _ = fs::remove_dir_all(root_dir.join(name));
    }
}

fn make_dir(dir: &Path, (uid, gid): (u32, u32)) -> Result<()> {
    make_new(dir)?;
    if (uid, gid) == (0, 0) {
        return Ok(());
    }
    std::os::unix::fs::chown(dir, Some(uid), Some(gid))
        .map_err(|e| failure::kernel("make directory", dir.display().to_string(), e))
}

/// Makes a directory, unless it exists; returns whether it is new.
fn make_new(dir: &Path) -> Result<bool> {
    use std::os::unix::fs::DirBuilderExt;
    match fs::DirBuilder::new().mode(0o755).create(dir) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(failure::kernel("make directory", dir.display().to_string(), e)),
    }
}

fn build(parts: &Parts<'_>, single: Single) -> Result<OwnedFd> {
    let direct = match parts.user_namespace {
        Some(user_namespace) => by_descriptors(parts, user_namespace),
        None => by_paths(parts),
    };
    match direct {
        Err(Direct::TooOld) => helper::build(parts, single),
        Err(Direct::Failed(failure)) => Err(failure),
        Ok(mount) => Ok(mount),
    }
}

/// Why the direct way did not work.
enum Direct {
    /// The kernel does not support it: the helper has to be used.
    TooOld,
    Failed(Failure),
}

impl From<Failure> for Direct {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

fn by_paths(parts: &Parts<'_>) -> std::result::Result<OwnedFd, Direct> {
    let context = open_context()?;
    for (n, layer) in parts.layers.iter().enumerate() {
        match fsconfig_set_string(&context, "lowerdir+", layer) {
            Err(Errno::INVAL) if n == 0 && Path::new(layer).is_dir() => return Err(Direct::TooOld),
            other => other.map_err(|e| explain(&context, "mount overlay", layer, e))?,
        }
    }
    finish(&context, parts).map_err(Direct::Failed)
}

/// Like [`by_paths`], but with an id-mapped clone of each layer.
fn by_descriptors(parts: &Parts<'_>, user_namespace: BorrowedFd<'_>) -> std::result::Result<OwnedFd, Direct> {
    let context = open_context()?;
    // A detached tree is destroyed with its descriptor: all are kept until the overlay has made its own copies.
    let mut trees = Vec::with_capacity(parts.layers.len());
    for (n, layer) in parts.layers.iter().enumerate() {
        let tree = clone_path(Path::new(layer), Reach::Top, MountAttrFlags::empty())?;
        idmap::set(&tree, user_namespace, Reach::Top, layer)?;
        match fsconfig_set_fd(&context, "lowerdir+", tree.as_fd()) {
            // Before 6.13, descriptors are not accepted at all; after that, those of mounts (`O_PATH`) are not at first.
            Err(Errno::INVAL | Errno::BADF) if n == 0 => return Err(Direct::TooOld),
            other => other.map_err(|e| explain(&context, "mount overlay", layer, e))?,
        }
        trees.push(tree);
    }
    finish(&context, parts).map_err(Direct::Failed)
}

fn open_context() -> Result<OwnedFd> {
    fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|e| failure::kernel("fsopen", "overlay", e))
}

/// Sets everything but the layers, and makes the mount.
fn finish(context: &OwnedFd, parts: &Parts<'_>) -> Result<OwnedFd> {
    let top = &parts.layers[0];
    let set = |key, value: &str| {
        fsconfig_set_string(context, key, value)
            .map_err(|e| explain(context, "mount overlay", &format!("{key}={value}"), e))
    };
    if let Some((upper, work)) = &parts.upper_and_work {
        set("upperdir", &upper.display().to_string())?;
        set("workdir", &work.display().to_string())?;
        fsconfig_set_flag(context, "volatile").map_err(|e| explain(context, "mount overlay", "volatile", e))?;
    }
    fsconfig_create(context).map_err(|e| explain(context, "mount overlay", top, e))?;
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        .map_err(|e| failure::kernel("mount overlay", top, e))
}
