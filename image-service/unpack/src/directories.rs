// SPDX-License-Identifier: Apache-2.0
//! What the archive says of the layer's directories: which of them a member describes, and which are only implied.

use crate::error::Error;
use crate::meta::Times;
use std::collections::HashMap;

/// Most bytes of directory names remembered, for their times or because no member describes them; a large
/// distribution has some six million.
const MAX_REMEMBERED: usize = 64 << 20;

/// The directories by path. What was replaced since may still be in it.
#[derive(Debug, Default)]
pub struct Directories {
    by_path: HashMap<Vec<u8>, Origin>,
    /// Bytes in the keys of `by_path`.
    remembered: usize,
}

/// What the archive says of a directory.
#[derive(Debug, Clone, Copy)]
pub enum Origin {
    /// A member describes it. Its times are set last because members that are added later would move them.
    Described(Times),
    /// Nothing (yet): lower layers decide what it is.
    Implied,
    /// Nothing, but a directory of this name is deleted first: lower layers do not count.
    Anew,
}

impl Directories {
    /// Notes what a member says of the directory at `path`.
    ///
    /// # Errors
    /// As [`Directories::check`].
    pub fn describe(&mut self, path: Vec<u8>, times: Times) -> Result<(), Error> {
        self.remember(path, Origin::Described(times));
        self.check()
    }

    /// Notes that the lower layers' directory of this name is deleted, so that this one is a new one.
    pub fn note_anew(&mut self, path: &[u8]) {
        if let Some(origin @ Origin::Implied) = self.by_path.get_mut(path) {
            *origin = Origin::Anew;
        }
    }

    /// Notes a directory. [`Directories::check`] is to follow.
    pub fn remember(&mut self, path: Vec<u8>, origin: Origin) {
        let more = path.len() + size_of::<(Vec<u8>, Origin)>();
        if self.by_path.insert(path, origin).is_none() {
            self.remembered += more;
        }
    }

    /// Checks the bound on names. One member makes no more directories than its path has components, so one check per
    /// member is enough.
    ///
    /// # Errors
    /// [`Error::Limit`] when the names take too much memory.
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

    /// Hands each described directory to `set`; returns the implied ones, sorted.
    ///
    /// # Errors
    /// The first of `set`.
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
