// SPDX-License-Identifier: Apache-2.0
//! Why a store operation failed.

use std::io;
use std::path::{Path, PathBuf};

/// Why a store operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("cannot {what} {path}")]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Another process uses the directory.
    #[error("image store {0} is in use by another process")]
    InUse(PathBuf),
    /// Another program wrote a record.
    #[error(transparent)]
    Foreign(gorae_kernel::checked::Foreign),
    /// A layer that is needed does not exist (any more).
    #[error("layer {0} is not on this node")]
    LayerMissing(String),
    /// The list of implied directories next to a layer's record is damaged.
    #[error("cannot read the names of directories that layer {layer} implies: {why}; pull the image again")]
    Implied { layer: String, why: String },
    /// The layers of one image imply more directories than the limit.
    #[error("the names of directories that the image's layers imply exceed {limit} bytes")]
    TooManyImplied { limit: u64 },
    /// The tree of directories on top of an image cannot be created.
    #[error("cannot create the directories on top of the image's layers")]
    Top(#[source] Box<gorae_unpack::Error>),
    /// A path given as a layer is not one of this store.
    #[error("{0} is not a layer directory of this store")]
    NotALayer(PathBuf),
}

impl Error {
    /// The error of a file operation: "cannot `what` `path`".
    pub fn file(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { what, path: path.to_owned(), source }
    }

    /// Whether the file system ran out of blocks, inodes or quota.
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::File { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Top(source) => source.is_no_space(),
            _ => false,
        }
    }
}
