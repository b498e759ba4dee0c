// SPDX-License-Identifier: Apache-2.0
//! A pull in flight, and the errors that all its steps share.

use crate::error::Error;
use crate::image::Image;
use crate::pull::parts::Parts;
use crate::pull::progress::Posted;
use crate::registry::{self, Registry};
use gorae_image_formats::reference::Reference;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The result that callers of the same pull share.
pub type Outcome = Result<Arc<Image>, Arc<Error>>;

/// A pull in flight.
pub struct Pull {
    /// State that it shares with other pulls.
    pub parts: Arc<Parts>,
    /// The image's name.
    pub reference: Reference,
    /// The registry that it comes from.
    pub registry: Arc<Registry>,
    /// Slots for layers of this pull that run concurrently.
    pub slots: Arc<Semaphore>,
    /// Its entry on the board.
    pub posted: Posted,
}

impl Pull {
    /// The error for a registry failure.
    pub fn failed(&self, source: registry::Error) -> Error {
        Error::Registry { image: self.reference.to_string(), source: Box::new(source) }
    }

    /// The error for a full disk; `progress` describes how far the pull got.
    pub fn no_space(&self, progress: String) -> Error {
        let (path, reserve) = (self.parts.config.root.clone(), self.parts.config.limits.reserve);
        let left = match self.parts.store.space() {
            Err(error) => format!("and the free space cannot be determined ({error})"),
            Ok(room) => {
                let bytes = reserve.bytes(room.bytes);
                let mut left = format!("{} bytes are free and {bytes} of them are kept in reserve", room.free_bytes);
                if room.inodes > 0 {
                    let inodes = reserve.inodes(room.inodes);
                    left.push_str(&format!(
                        "; {} inodes are free and {inodes} of them are kept in reserve",
                        room.free_inodes
                    ));
                }
                left
            }
        };
        Error::NoSpace { image: self.reference.to_string(), path, progress, left }
    }
}
