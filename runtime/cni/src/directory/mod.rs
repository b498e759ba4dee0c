// SPDX-License-Identifier: Apache-2.0
//! The directories with network configurations, and which of their files counts.
//!
//! Files are taken in the byte-wise order of their names, whichever directory they are in; of two with one name, the one
//! in the earlier directory counts. The first file is the node's network, even if it is broken: passing over it would
//! start pods in a network that nobody meant. A configured name makes the first list of that name count instead.

mod choose;
mod files;

pub use choose::{Chosen, Found};

use std::path::PathBuf;

/// Where to look, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// The directories, in order; they need not exist.
    pub paths: Vec<PathBuf>,
    /// The name that the network must have; `None`: any.
    pub network: Option<String>,
}

impl Directory {
    /// Reads the directories and decides. It reads files, so call it where blocking is allowed.
    pub fn read(&self) -> Found {
        match files::list(&self.paths) {
            Ok(files) => choose::choose(self.network.as_deref(), &files),
            Err((path, why)) => Found::Broken { file: path, why },
        }
    }
}
