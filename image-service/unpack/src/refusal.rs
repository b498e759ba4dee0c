// SPDX-License-Identifier: Apache-2.0
//! What the kernel did not do for a member, and the error that this makes.

use crate::error::Error;
use rustix::io::Errno;

/// What the kernel did not do.
#[allow(missing_docs, reason = "the variants' lines say what their fields are")]
#[derive(Debug)]
pub enum Refusal {
    /// A call failed.
    Kernel(Errno),
    /// An attribute is larger than the file system takes.
    TooLarge { name: Vec<u8>, length: usize },
}

impl Refusal {
    /// The error of the member at `path`.
    pub fn of(self, path: &[u8]) -> Error {
        match self {
            Self::Kernel(errno) => Error::Place { path: shown(path), source: errno.into() },
            Self::TooLarge { name, length } => Error::Attribute { path: shown(path), name: shown(&name), length },
        }
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self::Kernel(errno)
    }
}

/// A path for an error text: readable, and cut off at 200 letters.
pub fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).chars().take(200).collect()
}
