// SPDX-License-Identifier: Apache-2.0
//! Refusals of the kernel for a member, and the errors that they become.

use crate::error::Error;
use rustix::io::Errno;

/// An operation that the kernel refused.
#[allow(missing_docs, reason = "the variants' lines say what their fields are")]
#[derive(Debug)]
pub enum Refusal {
    /// A call failed.
    Kernel(Errno),
    /// An attribute is larger than the file system allows.
    TooLarge { name: Vec<u8>, length: usize },
}

impl Refusal {
    /// The error for the member at `path`.
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

/// A path for an error message: readable, and cut off after 200 characters.
pub fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).chars().take(200).collect()
}
