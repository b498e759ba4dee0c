// SPDX-License-Identifier: Apache-2.0
//! Errors of resolving a container's devices.

/// The kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request has an invalid device name.
    Invalid,
    /// No spec file describes the device.
    Unknown,
    /// The spec files of this node contradict each other or this node.
    Conflict,
    /// The device needs something that this version does not support.
    Unsupported,
}

/// A failure to resolve devices. Its text names the device and says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The kind of a failure.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Prefixes the message with the thing being read.
    pub(crate) fn during(mut self, what: impl std::fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
