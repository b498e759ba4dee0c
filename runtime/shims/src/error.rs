// SPDX-License-Identifier: Apache-2.0
//! Failures of calls to a shim.

use gorae_proto::shim::{Failure, failure, reply};

/// A failed call to a shim. Its text names the shim's role or socket and the kernel's error.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// The connection has ended: the request may have been carried out, and no reply will come.
    Gone(String),
    /// There is no socket, or nothing listens on it.
    NotThere(String),
    /// No reply came in time: the request may still be carried out.
    TimedOut(String),
    /// The kernel cannot provide a process or descriptor for another shim at the moment.
    NoRoom(String),
    /// The shim failed and undid its partial work; this is its report.
    Refused(Failure),
    /// The request exceeds the largest frame, and was not sent.
    TooLarge(String),
    /// The shim cannot be started, or it sent something that is not a reply.
    Broken(String),
}

/// The result of a call to a shim.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A reply of another verb than the one that was called.
    pub(crate) fn unexpected(wanted: &str, body: &reply::Body) -> Self {
        let name = format!("{body:?}");
        Self::Broken(format!("the shim replied with {}, not {wanted}", name.split('(').next().unwrap_or_default()))
    }

    /// Checks the reply of a verb that has nothing to report.
    pub(crate) fn unless_done(body: &reply::Body) -> Result<()> {
        match body {
            reply::Body::Done(_) => Ok(()),
            other => Err(Self::unexpected("Done", other)),
        }
    }

    /// Prefixes the text with what was being done.
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

    /// Whether the shim sent no reply, or none that can be understood: the request may be carried out all the same.
    pub fn says_nothing(&self) -> bool {
        matches!(self, Self::Gone(_) | Self::TimedOut(_) | Self::Broken(_))
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
