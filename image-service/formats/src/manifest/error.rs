// SPDX-License-Identifier: Apache-2.0
//! Why a manifest or index cannot be used.

/// Why a document cannot be used. `what` names the document in the caller's words.
#[allow(missing_docs, reason = "the variants' lines say what their fields are")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It does not follow the specifications.
    #[error("{what} cannot be used: {why}")]
    Invalid { what: String, why: String },
    /// The index has no image for this node.
    #[error("{what} has no image for {platform} (it has {available})")]
    NoPlatform { what: String, platform: String, available: String },
    /// It uses a feature that is not supported here.
    #[error("{what} is not supported: {why}")]
    Unsupported { what: String, why: String },
}

impl Error {
    /// The error for a Docker schema 1 manifest.
    pub fn schema_1(what: &str) -> Self {
        let why = "it is a Docker schema 1 manifest; push the image again with a newer client".to_owned();
        Self::Unsupported { what: what.to_owned(), why }
    }
}
