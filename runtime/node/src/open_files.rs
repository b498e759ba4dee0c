// SPDX-License-Identifier: Apache-2.0
//! The daemon's own limit of open files, and the one that containers keep.
//!
//! The daemon takes as many as it may have: unpacking layers in parallel needs hundreds. Programs in containers
//! must not inherit that: some loop over every possible descriptor, and `select` ends at 1024.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A limit of open files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// What is enforced.
    pub soft: u64,
    /// What it may be raised to.
    pub hard: u64,
}

/// Raises this process's soft limit to the hard one; returns what it was before, for containers.
pub fn raise() -> OpenFiles {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return OpenFiles { soft: 1024, hard: 4096 } };
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        tracing::warn!(%error, soft, hard, "the limit of open files stays as it is");
    }
    OpenFiles { soft, hard }
}
