// SPDX-License-Identifier: Apache-2.0
//! A pull in flight, and the errors that all its steps may have.

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
    /// What it shares with others.
    pub parts: Arc<Parts>,
    /// The image's name.
    pub reference: Reference,
    /// Where it comes from.
    pub registry: Arc<Registry>,
    /// Layers of this pull that run at the same time.
    pub slots: Arc<Semaphore>,
    /// Its place on the board.
    pub posted: Posted,
}

impl Pull {
    /// The error for a failure of the registry.
    pub fn failed(&self, source: registry::Error) -> Error {
        Error::Registry { image: self.reference.to_string(), source: Box::new(source) }
    }

    /// The error for a full disk; `progress` says how far the pull came.
    pub fn no_space(&self, progress: String) -> Error {
        let (path, reserve) = (self.parts.config.root.clone(), self.parts.config.limits.reserve);
        let left = match self.parts.store.space() {
            Err(error) => format!("and how much is free cannot be told ({error})"),
            Ok(room) => {
                let bytes = reserve.bytes(room.bytes);
                let mut left = format!("{} bytes are free and {bytes} of them are kept in reserve", room.free_bytes);
                if room.inodes > 0 {
                    let inodes = reserve.inodes(room.inodes);
                    left.push_str(&format!(", of {} free inodes {inodes}", room.free_inodes));
                }
                left
            }
        };
        Error::NoSpace { image: self.reference.to_string(), path, progress, left }
    }
}
