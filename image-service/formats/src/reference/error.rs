// SPDX-License-Identifier: Apache-2.0
//! Why a text is not an image name.

/// Longest `host/path`, the same limit as in registries.
pub const MAX_NAME: usize = 255;
/// Longest tag.
pub const MAX_TAG: usize = 128;

/// Why a text is not an image name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The text is empty.
    #[error("the name is empty")]
    Empty,
    /// Text before an `@` that does not begin a digest. It may be a password, so it is not quoted.
    #[error("only a digest (sha256:… or sha512:…) may follow an '@'; pass user and password as separate credentials")]
    UserInfo,
    /// `host/path` is longer than 255 characters.
    #[error("the name is longer than {MAX_NAME} characters")]
    TooLong,
    /// The host part is not a valid host name, address or port.
    #[error("{0:?} is not a registry host")]
    Host(String),
    /// A path component breaks the rules.
    #[error("{0:?} is not a repository path (lower-case letters and digits, separated by '.', '_', '__' or '-')")]
    Path(String),
    /// 64 hex digits, the form of image ids.
    #[error("64 hex digits are an image id, not a name")]
    LooksLikeId,
    /// The tag breaks the rules.
    #[error("{0:?} is not a tag (letters, digits, '_', '.', '-', at most {MAX_TAG})")]
    Tag(String),
    /// The digest breaks the rules.
    #[error(transparent)]
    Digest(gorae_digest::Invalid),
}
