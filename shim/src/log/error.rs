// SPDX-License-Identifier: Apache-2.0
//! What keeps a log from being opened.

use std::path::PathBuf;

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A parent directory is missing and cannot be made.
    #[error("make log directory {path}: {source}", path = path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the kernel answered.
        source: std::io::Error,
    },
    /// The file cannot be opened or made.
    #[error("open log file {path}: {source}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the kernel answered.
        source: std::io::Error,
    },
    /// Something that is not a regular file stands in its place.
    #[error("log file {path} is not a regular file", path = path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
}
