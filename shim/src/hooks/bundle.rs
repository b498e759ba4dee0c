// SPDX-License-Identifier: Apache-2.0
//! The bundle: the directory named in the state, where hooks find config.json and the container's root.

use super::list::Hooks;
use crate::failure::{self, Result};
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, fchown};

/// Creates the bundle; `owner` is the container's root as host ids.
///
/// # Errors
/// The kernel's error, with the bundle's path.
pub fn make_bundle(hooks: &Hooks, owner: (u32, u32)) -> Result<()> {
    let fail = |e| failure::kernel("make bundle", hooks.bundle.display().to_string(), e);
    DirBuilder::new().recursive(true).mode(0o711).create(hooks.rootfs()).map_err(fail)?;
    let path = hooks.bundle.join("config.json");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(fail)?;
    fchown(&file, Some(owner.0), Some(owner.1)).map_err(fail)?;
    file.write_all(&hooks.config).map_err(fail)
}
