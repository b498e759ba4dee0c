// SPDX-License-Identifier: Apache-2.0
//! The daemon's only error type: a closed kind that becomes a gRPC code, and a sentence for the operator.
//!
//! kubelet copies the sentence into pod events, so it names the object and the attempted step, and never a secret.

use gorae_proto::shim::{Failure, failure};
use tonic::{Code, Status};

/// The kind of failure. It decides the gRPC code, and so what kubelet does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The object does not exist. kubelet reads only this as "removed between list and status".
    NotFound,
    /// Something else already uses the name, the port or the path.
    AlreadyExists,
    /// The request is wrong, whatever state the object is in.
    InvalidArgument,
    /// The object is in the wrong state for the request.
    FailedPrecondition,
    /// Disk space, addresses, descriptors or processes are exhausted.
    ResourceExhausted,
    /// A retry may work.
    Unavailable,
    /// The request took too long.
    DeadlineExceeded,
    /// This build or this kernel cannot do it.
    Unimplemented,
    /// Everything else.
    Internal,
}

/// A failed request.
#[derive(Debug, Clone)]
pub struct Error {
    kind: Kind,
    /// Stays at the beginning of the sentence, whatever else is prefixed: clients look for it there.
    word: Option<&'static str>,
    message: String,
}

/// The word that marks an image volume that could not be mounted.
pub const IMAGE_VOLUME_FAILED: &str = "ImageVolumeMountFailed";

/// Result of the daemon's verbs.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Makes an error of a kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, word: None, message: message.into() }
    }

    /// Makes a [`Kind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// Makes a [`Kind::InvalidArgument`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidArgument, message)
    }

    /// Makes a [`Kind::FailedPrecondition`].
    pub fn precondition(message: impl Into<String>) -> Self {
        Self::new(Kind::FailedPrecondition, message)
    }

    /// Makes a [`Kind::Internal`], for failures without a better kind.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// Makes a [`Kind::DeadlineExceeded`].
    pub fn deadline(message: impl Into<String>) -> Self {
        Self::new(Kind::DeadlineExceeded, message)
    }

    /// Makes an error from a failed system call on a file of ours; a full disk and a missing file have their own kinds.
    pub fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Kind::ResourceExhausted,
            std::io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Internal,
        };
        Self::new(kind, format!("{what} {}: {error}", path.display()))
    }

    /// The kind of failure.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Makes the text begin with a word that clients look for.
    #[must_use]
    pub fn beginning_with(mut self, word: &'static str) -> Self {
        self.word = Some(word);
        self
    }

    /// Prefixes the sentence with the attempted step.
    #[must_use]
    pub fn during(mut self, what: impl std::fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Appends the failure to undo the failed work, so that the operator sees both.
    #[must_use]
    pub fn and_undo_failed(mut self, undo: &Error) -> Self {
        self.message = format!("{}; undoing it failed too: {}", self.message, undo.message);
        self
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(word) = self.word {
            write!(f, "{word}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = match failure.kind() {
            failure::Kind::NotFound => Kind::NotFound,
            failure::Kind::InvalidArgument => Kind::InvalidArgument,
            failure::Kind::FailedPrecondition => Kind::FailedPrecondition,
            failure::Kind::AlreadyExists => Kind::AlreadyExists,
            failure::Kind::ResourceExhausted => Kind::ResourceExhausted,
            failure::Kind::PermissionDenied | failure::Kind::Internal => Kind::Internal,
            failure::Kind::Unimplemented => Kind::Unimplemented,
            failure::Kind::DeadlineExceeded => Kind::DeadlineExceeded,
        };
        let word = (failure.step == gorae_proto::IMAGE_VOLUME_STEP).then_some(IMAGE_VOLUME_FAILED);
        Self { kind, word, message: failure.message }
    }
}

impl From<gorae_shims::Error> for Error {
    fn from(error: gorae_shims::Error) -> Self {
        let kind = match error {
            gorae_shims::Error::Refused(failure) => return failure.into(),
            gorae_shims::Error::Gone(_) | gorae_shims::Error::NoRoom(_) => Kind::Unavailable,
            gorae_shims::Error::NotThere(_) => Kind::NotFound,
            gorae_shims::Error::TimedOut(_) => Kind::DeadlineExceeded,
            gorae_shims::Error::TooLarge(_) => Kind::InvalidArgument,
            gorae_shims::Error::Broken(_) => Kind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<gorae_network::NetworkError> for Error {
    fn from(error: gorae_network::NetworkError) -> Self {
        use gorae_network::NetworkErrorKind;
        let kind = match error.kind() {
            NetworkErrorKind::InvalidArgument => Kind::InvalidArgument,
            NetworkErrorKind::AlreadyExists => Kind::AlreadyExists,
            NetworkErrorKind::ResourceExhausted => Kind::ResourceExhausted,
            NetworkErrorKind::DeadlineExceeded => Kind::DeadlineExceeded,
            NetworkErrorKind::FailedPrecondition => Kind::FailedPrecondition,
            NetworkErrorKind::Internal => Kind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<gorae_attachments::Error> for Error {
    fn from(error: gorae_attachments::Error) -> Self {
        let kind = match &error {
            gorae_attachments::Error::Network(gorae_cni::Error::Argument(_)) => Kind::InvalidArgument,
            // A retry may work: an agent may be back, an address free.
            gorae_attachments::Error::Network(_) | gorae_attachments::Error::Busy { .. } => Kind::Unavailable,
            gorae_attachments::Error::Record { .. } | gorae_attachments::Error::Foreign { .. } => Kind::Internal,
            gorae_attachments::Error::Slow { .. } => Kind::DeadlineExceeded,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<gorae_user_networks::Error> for Error {
    fn from(error: gorae_user_networks::Error) -> Self {
        use gorae_user_networks::ErrorKind as From;
        let kind = match error.kind() {
            From::InvalidArgument => Kind::InvalidArgument,
            From::NotFound => Kind::NotFound,
            From::AlreadyExists => Kind::AlreadyExists,
            From::FailedPrecondition => Kind::FailedPrecondition,
            From::ResourceExhausted => Kind::ResourceExhausted,
            From::Unavailable => Kind::Unavailable,
            From::Internal => Kind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<gorae_cdi::Error> for Error {
    fn from(error: gorae_cdi::Error) -> Self {
        let kind = match error.kind() {
            gorae_cdi::Kind::Invalid => Kind::InvalidArgument,
            gorae_cdi::Kind::Unknown => Kind::NotFound,
            gorae_cdi::Kind::Conflict => Kind::FailedPrecondition,
            gorae_cdi::Kind::Unsupported => Kind::Unimplemented,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<gorae_image_service::Error> for Error {
    fn from(error: gorae_image_service::Error) -> Self {
        use gorae_image_service::Kind as Image;
        let kind = match error.kind() {
            Image::NotFound => Kind::NotFound,
            Image::InvalidArgument => Kind::InvalidArgument,
            Image::FailedPrecondition => Kind::FailedPrecondition,
            Image::ResourceExhausted => Kind::ResourceExhausted,
            Image::RegistryUnavailable => Kind::Unavailable,
            Image::Unimplemented => Kind::Unimplemented,
            Image::Unauthenticated | Image::PermissionDenied | Image::DataLoss | Image::Internal => Kind::Internal,
        };
        Self::new(kind, error.message())
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let code = match error.kind {
            Kind::NotFound => Code::NotFound,
            Kind::AlreadyExists => Code::AlreadyExists,
            Kind::InvalidArgument => Code::InvalidArgument,
            Kind::FailedPrecondition => Code::FailedPrecondition,
            Kind::ResourceExhausted => Code::ResourceExhausted,
            Kind::Unavailable => Code::Unavailable,
            Kind::DeadlineExceeded => Code::DeadlineExceeded,
            Kind::Unimplemented => Code::Unimplemented,
            Kind::Internal => Code::Internal,
        };
        Status::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_code() {
        let table = [
            (Kind::NotFound, Code::NotFound),
            (Kind::AlreadyExists, Code::AlreadyExists),
            (Kind::InvalidArgument, Code::InvalidArgument),
            (Kind::FailedPrecondition, Code::FailedPrecondition),
            (Kind::ResourceExhausted, Code::ResourceExhausted),
            (Kind::Unavailable, Code::Unavailable),
            (Kind::DeadlineExceeded, Code::DeadlineExceeded),
            (Kind::Unimplemented, Code::Unimplemented),
            (Kind::Internal, Code::Internal),
        ];
        for (kind, code) in table {
            assert_eq!(Status::from(Error::new(kind, "x")).code(), code);
        }
    }

    #[test]
    fn the_word_that_clients_look_for_stays_in_front() {
        let error = Error::not_found("no such image").beginning_with(IMAGE_VOLUME_FAILED).during("create c");
        assert_eq!(Status::from(error).message(), "ImageVolumeMountFailed: create c: no such image");
        let failure = Failure {
            step: gorae_proto::IMAGE_VOLUME_STEP.into(),
            message: "open x: absent".into(),
            ..Default::default()
        };
        let error = Error::from(failure).during("start c");
        assert_eq!(error.to_string(), "ImageVolumeMountFailed: start c: open x: absent");
    }

    #[test]
    fn a_full_disk_is_resource_exhausted() {
        let full = std::io::Error::from_raw_os_error(libc::ENOSPC);
        assert_eq!(Error::io("write", std::path::Path::new("/x"), &full).kind(), Kind::ResourceExhausted);
    }
}
