// SPDX-License-Identifier: Apache-2.0
//! The daemon's own limit on open files, and the limit that containers keep.
//!
//! The daemon raises its limit as far as it may: unpacking layers in parallel needs hundreds of files. Programs in
//! containers must not inherit that, because some loop over every possible descriptor, and `select` fails above 1024.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A limit on open files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// The limit in force.
    pub soft: u64,
    /// The value up to which it may be raised.
    pub hard: u64,
}

/// Raises this process's soft limit to the hard one; returns the limit before that, for containers.
pub fn raise() -> OpenFiles {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return OpenFiles { soft: 1024, hard: 4096 } };
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        tracing::warn!(%error, soft, hard, "cannot raise the limit on open files");
    }
    OpenFiles { soft, hard }
}
