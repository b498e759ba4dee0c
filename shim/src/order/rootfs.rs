// SPDX-License-Identifier: Apache-2.0
//! What a container's root is made of.

use crate::malformed::{Malformed, Result, absolute, each};
use crate::tree::Propagation;
use crate::wire;

/// A root in the making.
#[derive(Debug)]
pub struct Rootfs {
    /// Directories on the host, the topmost first; at least one.
    pub layers: Vec<String>,
    /// Whether nothing can be written to it.
    pub readonly: bool,
    /// What the mounts in it need of it.
    pub propagation: Propagation,
    /// Made in it when they are missing.
    pub directories: Vec<String>,
}

impl Rootfs {
    /// Checks the message.
    ///
    /// # Errors
    /// For a root without layers, and for paths and words that cannot be.
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
/// When there is none, and for one that is not a path from the root.
pub(super) fn layers(field: &str, layers: Vec<String>) -> Result<Vec<String>> {
    if layers.is_empty() {
        return Err(Malformed::new(field, "the image has no layers"));
    }
    each(field, layers, |path| absolute("", path))
}
