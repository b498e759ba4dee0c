// SPDX-License-Identifier: Apache-2.0
//! What an image says of its `/`: the writable directory on top begins like the topmost layer.
//!
//! Overlayfs shows the root as the writable directory has it, and that one is new. The store sees to it that the topmost
//! directory it gives is as the image's `/` has to be, whichever layer describes it.

use crate::failure::{self, Result};
use crate::idmap;
use crate::tree::{Reach, clone_path};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Stat, Uid, XattrFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The access lists of a directory. Other attributes of an image's `/` mean nothing to anybody.
const LISTS: [&str; 2] = ["system.posix_acl_access", "system.posix_acl_default"];
/// More than any access list of a file system that people use.
const MAX_LIST: usize = 8 << 10;

/// Mode, owner (in the host's ids) and access lists of the topmost layer's directory.
#[derive(Debug)]
pub struct Top {
    mode: u32,
    owner: (u32, u32),
    lists: Vec<(&'static str, Vec<u8>)>,
}

impl Top {
    /// Looks at `layer`, through `user_namespace`'s maps when there is one; `root` is the host's ids of its root.
    pub fn of(layer: &str, user_namespace: Option<BorrowedFd<'_>>, root: (u32, u32)) -> Result<Self> {
        let fail = |e: Errno| failure::kernel("mount overlay", layer, e);
        let found = rustix::fs::stat(layer).map_err(fail)?;
        let top = Self { mode: found.st_mode & 0o7777, owner: ids(&found), lists: lists(layer).map_err(fail)? };
        let Some(user_namespace) = user_namespace else { return Ok(top) };
        // Most images' root is root's, and says no more.
        if top.owner == (0, 0) && top.lists.is_empty() {
            return Ok(Self { owner: root, ..top });
        }
        // The kernel translates, as it does for everything in the layer.
        let tree = clone_path(Path::new(layer), Reach::Top, MountAttrFlags::empty())?;
        idmap::set(&tree, user_namespace, Reach::Top, layer)?;
        let found = rustix::fs::statat(&tree, "", AtFlags::EMPTY_PATH).map_err(fail)?;
        let lists = lists(&format!("/proc/self/fd/{}", tree.as_raw_fd())).map_err(fail)?;
        Ok(Self { owner: ids(&found), lists, ..top })
    }

    /// Makes a directory that was just made like it.
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
