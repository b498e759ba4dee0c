// SPDX-License-Identifier: Apache-2.0
//! The attributes of an image's `/`: the writable directory on top starts with those of the topmost layer.
//!
//! Overlayfs shows the root with the attributes of the writable directory, which is new. The store makes sure that the
//! topmost directory has the attributes of the image's `/`, whichever layer describes it.

use crate::failure::{self, Result};
use crate::idmap;
use crate::tree::{Reach, clone_path};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Stat, Uid, XattrFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The access lists of a directory. Other extended attributes have no meaning on an image's `/`.
const LISTS: [&str; 2] = ["system.posix_acl_access", "system.posix_acl_default"];
/// Longest access list that is read, in bytes: more than any file system in common use allows.
const MAX_LIST: usize = 8 << 10;

/// Mode, owner (in the host's ids) and access lists of the topmost layer's directory.
#[derive(Debug)]
pub struct Top {
    mode: u32,
    owner: (u32, u32),
    lists: Vec<(&'static str, Vec<u8>)>,
}

impl Top {
    /// Reads the attributes of `layer`, through the maps of `user_namespace` if there is one; `root` are the host's ids of
    /// its root.
    ///
    /// # Errors
    /// The kernel's error, with the layer.
    pub fn of(layer: &str, user_namespace: Option<BorrowedFd<'_>>, root: (u32, u32)) -> Result<Self> {
        let fail = |e: Errno| failure::kernel("mount overlay", layer, e);
        let found = rustix::fs::stat(layer).map_err(fail)?;
        let top = Self { mode: found.st_mode & 0o7777, owner: ids(&found), lists: lists(layer).map_err(fail)? };
        let Some(user_namespace) = user_namespace else { return Ok(top) };
        // In most images, the directory belongs to root and has no access lists.
        if top.owner == (0, 0) && top.lists.is_empty() {
            return Ok(Self { owner: root, ..top });
        }
        // The kernel maps the ids, as it does for everything in the layer.
        let tree = clone_path(Path::new(layer), Reach::Top, MountAttrFlags::empty())?;
        idmap::set(&tree, user_namespace, Reach::Top, layer)?;
        let found = rustix::fs::statat(&tree, "", AtFlags::EMPTY_PATH).map_err(fail)?;
        let lists = lists(&format!("/proc/self/fd/{}", tree.as_raw_fd())).map_err(fail)?;
        Ok(Self { owner: ids(&found), lists, ..top })
    }

    /// Applies the attributes to a new directory.
    ///
    /// # Errors
    /// The kernel's error, with the directory.
    pub fn apply(&self, dir: &Path) -> Result<()> {
        let fail = |e: Errno| failure::kernel("set up directory", dir.display().to_string(), e);
        let handle = open(dir).map_err(fail)?;
        if self.owner != (0, 0) {
            let (uid, gid) = (Uid::from_raw(self.owner.0), Gid::from_raw(self.owner.1));
            rustix::fs::fchown(&handle, Some(uid), Some(gid)).map_err(fail)?;
        }
        rustix::fs::fchmod(&handle, Mode::from_raw_mode(self.mode)).map_err(fail)?;
        for (name, value) in &self.lists {
            rustix::fs::fsetxattr(&handle, *name, value, XattrFlags::empty()).map_err(fail)?;
        }
        Ok(())
    }
}

fn open(dir: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(dir, flags, Mode::empty())
}

fn ids(found: &Stat) -> (u32, u32) {
    (found.st_uid, found.st_gid)
}

fn lists(path: &str) -> rustix::io::Result<Vec<(&'static str, Vec<u8>)>> {
    let mut lists = Vec::new();
    for name in LISTS {
        let mut value = [0; MAX_LIST];
        match rustix::fs::getxattr(path, name, &mut value[..]) {
            Ok(length) => lists.push((name, value[..length].to_vec())),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(lists)
}
