// SPDX-License-Identifier: Apache-2.0
//! Why a shim did not do what it was asked to.

use gorae_proto::shim::{Failure, failure};

/// A failed call of a shim. Its text names the shim's role or socket and what the kernel answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// The connection has ended: the request may have been carried out, and no answer will come.
    Gone(String),
    /// There is no socket, or nothing listens on it.
    NotThere(String),
    /// No answer came in time: the request may still be carried out.
    TimedOut(String),
    /// The kernel has no process or descriptor for another shim at the moment.
    NoRoom(String),
    /// The shim has undone what it began; this is its own account.
    Refused(Failure),
    /// The request is larger than a frame may be, and was not sent.
    TooLarge(String),
    /// The shim cannot be started, or what it sent is not an answer.
    Broken(String),
}

/// Result of a call of a shim.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Puts what was being done before the sentence.
    #[must_use]
    pub fn during(mut self, what: impl std::fmt::Display) -> Self {
        let text = match &mut self {
            Self::Gone(text) | Self::NotThere(text) | Self::TimedOut(text) => text,
            Self::NoRoom(text) | Self::TooLarge(text) | Self::Broken(text) => text,
            Self::Refused(failure) => &mut failure.message,
        };
        *text = format!("{what}: {text}");
        self
    }

    /// Whether the shim said nothing at all: it may still do what it was asked.
    pub fn says_nothing(&self) -> bool {
        matches!(self, Self::Gone(_) | Self::TimedOut(_))
    }

    /// The kind of failure that the shim reported; `None` when it reported none.
    pub fn refused(&self) -> Option<failure::Kind> {
        match self {
            Self::Refused(failure) => Some(failure.kind()),
            _ => None,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gone(text) | Self::NotThere(text) | Self::TimedOut(text) => text,
            Self::NoRoom(text) | Self::TooLarge(text) | Self::Broken(text) => text,
            Self::Refused(failure) => &failure.message,
        })
    }
}

impl std::error::Error for Error {}
