// SPDX-License-Identifier: Apache-2.0
//! Why the hosts of a registry cannot be determined.

use std::path::PathBuf;

/// Why a hosts.toml cannot be used.
#[allow(missing_docs, reason = "the variants' lines say what their fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file exists but cannot be read.
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file is invalid. The message never shows values: headers can be secrets.
    #[error("{path} line {line}: {why}")]
    Invalid { path: PathBuf, line: usize, why: String },
    /// A registry name cannot be part of a URL.
    #[error("registry host {0:?} is not valid in a URL")]
    Name(String),
}
