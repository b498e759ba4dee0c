// SPDX-License-Identifier: Apache-2.0
//! The errors of opening a log.

use std::path::PathBuf;

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A parent directory is missing and cannot be created.
    #[error("make log directory {path}: {source}", path = path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// The file cannot be opened or created.
    #[error("open log file {path}: {source}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// The path is not a regular file.
    #[error("log file {path} is not a regular file", path = path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
}
