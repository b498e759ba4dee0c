// SPDX-License-Identifier: Apache-2.0
//! Tracks the layer's directories: which of them a member of the archive describes, and which are only implied.

use crate::error::Error;
use crate::meta::Times;
use std::collections::HashMap;

/// The most memory for directory names, in bytes. A large distribution takes some six million.
const MAX_REMEMBERED: usize = 64 << 20;

/// The directories by path. Some of them may have been replaced since.
#[derive(Debug, Default)]
pub struct Directories {
    by_path: HashMap<Vec<u8>, Origin>,
    /// The memory that the entries of `by_path` take, in bytes.
    remembered: usize,
}

/// How the archive introduced a directory.
#[derive(Debug, Clone, Copy)]
pub enum Origin {
    /// A member describes it. Its times are set last, because adding members to it would change them.
    Described(Times),
    /// No member describes it (yet), so lower layers decide its metadata.
    Implied,
    /// No member describes it, but a whiteout deletes the lower one of that name, so lower layers do not matter.
    Anew,
}

impl Directories {
    /// Records that a member describes the directory at `path`.
    ///
    /// # Errors
    /// See [`Directories::check`].
    pub fn describe(&mut self, path: Vec<u8>, times: Times) -> Result<(), Error> {
        self.remember(path, Origin::Described(times));
        self.check()
    }

    /// Records that the lower layers' directory of this name is deleted, so this one is new.
    pub fn note_anew(&mut self, path: &[u8]) {
        if let Some(origin @ Origin::Implied) = self.by_path.get_mut(path) {
            *origin = Origin::Anew;
        }
    }

    /// Records a directory. The caller must call [`Directories::check`] afterwards.
    pub fn remember(&mut self, path: Vec<u8>, origin: Origin) {
        let more = path.len() + size_of::<(Vec<u8>, Origin)>();
        if self.by_path.insert(path, origin).is_none() {
            self.remembered += more;
        }
    }

    /// Checks the bound on names. One member creates at most as many directories as its path has components, so one check
    /// per member is enough.
    ///
    /// # Errors
    /// [`Error::Limit`] if the names take too much memory.
    pub fn check(&self) -> Result<(), Error> {
        if self.remembered > MAX_REMEMBERED {
            return Err(Error::Limit { what: "bytes in names of directories", limit: MAX_REMEMBERED as u64 });
        }
        Ok(())
    }

    /// Whether a member describes the root.
    pub fn describes_root(&self) -> bool {
        self.by_path.contains_key(&b""[..])
    }

    /// Passes each described directory to `set`; returns the implied ones, sorted.
    ///
    /// # Errors
    /// The first error of `set`.
    pub fn finish(self, mut set: impl FnMut(Vec<u8>, Times) -> Result<(), Error>) -> Result<Vec<Vec<u8>>, Error> {
        let mut implied = Vec::new();
        for (path, origin) in self.by_path {
            match origin {
                Origin::Described(times) => set(path, times)?,
                Origin::Implied => implied.push(path),
                Origin::Anew => {}
            }
        }
        implied.sort_unstable();
        Ok(implied)
    }
}
