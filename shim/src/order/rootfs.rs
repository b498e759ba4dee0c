// SPDX-License-Identifier: Apache-2.0
//! The parts of a container's root.

use crate::malformed::{Malformed, Result, absolute, each};
use crate::tree::Propagation;
use crate::wire;

/// A root to be assembled.
#[derive(Debug)]
pub struct Rootfs {
    /// Directories on the host, topmost first; at least one.
    pub layers: Vec<String>,
    /// Whether it is read-only.
    pub readonly: bool,
    /// The propagation that the mounts in it need.
    pub propagation: Propagation,
    /// Directories to create in it if they are missing.
    pub directories: Vec<String>,
}

impl Rootfs {
    /// Checks the message.
    ///
    /// # Errors
    /// For a root without layers, and for an invalid path or propagation.
    pub fn checked(rootfs: wire::Rootfs) -> Result<Self> {
        let propagation = match rootfs.propagation.as_str() {
            "" | "private" => Propagation::Private,
            "slave" => Propagation::Slave,
            "shared" => Propagation::Shared,
            other => return Err(Malformed::new("propagation", format!("{other:?} is not a kind of propagation"))),
        };
        Ok(Self {
            layers: layers("layers", rootfs.layers)?,
            readonly: rootfs.readonly,
            propagation,
            directories: each("directories", rootfs.directories, |path| absolute("", path))?,
        })
    }
}

/// Checks the layers of an image.
///
/// # Errors
/// When there are none, and for one that is not an absolute path.
pub(super) fn layers(field: &str, layers: Vec<String>) -> Result<Vec<String>> {
    if layers.is_empty() {
        return Err(Malformed::new(field, "the image has no layers"));
    }
    each(field, layers, |path| absolute("", path))
}
