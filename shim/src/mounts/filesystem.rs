// SPDX-License-Identifier: Apache-2.0
//! New file systems as detached mounts.

use crate::failure::{self, Result};
use crate::rootfs::explain;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};
use std::os::fd::OwnedFd;

/// Makes a file system with comma-separated `options` in the caller's namespaces, attached nowhere yet.
///
/// # Errors
/// The kernel's error, with the option or the file system that it refused, and its explanation if it gave one.
pub fn detached(name: &str, options: &str, attributes: MountAttrFlags) -> Result<OwnedFd> {
    let context = fsopen(name, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|e| failure::kernel("fsopen", name, e))?;
    mounted(&context, name, options, attributes)
}

/// Does the same with an open context.
///
/// # Errors
/// As [`detached`].
pub fn mounted(context: &OwnedFd, name: &str, options: &str, attributes: MountAttrFlags) -> Result<OwnedFd> {
    for option in options.split(',').filter(|o| !o.is_empty()) {
        let set = match option.split_once('=') {
            Some((key, value)) => fsconfig_set_string(context, key, value),
            None => fsconfig_set_flag(context, option),
        };
        set.map_err(|e| explain(context, "set option", &format!("{option} of {name}"), e))?;
    }
    fsconfig_create(context).map_err(|e| explain(context, "mount", name, e))?;
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(|e| failure::kernel("mount", name, e))
}
