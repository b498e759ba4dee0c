// SPDX-License-Identifier: Apache-2.0
//! Whether a CNI configuration was ever seen on this node: a file, which survives a reboot.

use crate::disk;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The file, and whether it is there: it is read only once, because statuses ask for it.
#[derive(Debug)]
pub(super) struct Seen {
    path: PathBuf,
    is_set: AtomicBool,
}

impl Seen {
    /// Looks for the file.
    pub fn open(path: PathBuf) -> Self {
        let is_set = disk::blocking(|| path.exists()).into();
        Self { path, is_set }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a configuration was seen.
    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }

    /// Records that one was seen.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set(&self) -> Result<()> {
        let made = disk::blocking(|| std::fs::write(&self.path, ""));
        made.map_err(|e| Error::io("write", &self.path, &e))?;
        self.is_set.store(true, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_once_is_known_after_a_restart() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("cni-seen");
        let seen = Seen::open(path.clone());
        assert!(!seen.is_set());
        seen.set().expect("written");
        assert!(seen.is_set() && Seen::open(path).is_set());
        let nowhere = Seen::open(dir.path().join("no/cni-seen"));
        assert!(nowhere.set().is_err() && !nowhere.is_set());
    }
}
