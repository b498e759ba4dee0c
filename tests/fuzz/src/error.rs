// SPDX-License-Identifier: Apache-2.0
//! What `runtime/src/shims` makes of the daemon's error. The real one knows every room of the daemon.

use gorae_proto::shim::Failure;

/// The kinds that a connection to a shim has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    NotFound,
    Unavailable,
    DeadlineExceeded,
    InvalidArgument,
    Internal,
    /// Whatever the shim says.
    Shim,
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub kind: Kind,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidArgument, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    pub fn deadline(message: impl Into<String>) -> Self {
        Self::new(Kind::DeadlineExceeded, message)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::new(Kind::Shim, failure.message)
    }
}
