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
    /// Nothing (yet): what it is is for lower layers to say.
    Implied,
    /// The same, but one of its name is deleted first: lower layers have nothing to say.
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

    /// Notes that a directory of lower layers is deleted, and that this one of the same name is another.
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

    /// Whether it can go on. One member makes no more directories than its path has components: to look once for each
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
