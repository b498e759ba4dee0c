// SPDX-License-Identifier: Apache-2.0
//! Errors of reading a machine's layout and of checking a client's parent.

/// Why the layout is unknown, or a parent was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of /proc could not be read.
    #[error("read {path}: {source}")]
    Read {
        /// The file.
        path: &'static str,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// No writable cgroup file system is mounted.
    #[error("no writable cgroup hierarchy is mounted: neither cgroup2 nor a cgroup v1 controller")]
    NoCgroups,
    /// The parent is not a path in which each component names a cgroup below the one before.
    #[error("cgroup parent {parent:?} is not a plain path: {why}")]
    BadParent {
        /// The parent as the client sent it, cut to 256 characters.
        parent: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The parent has the form that the systemd driver uses.
    #[error(
        "cgroup parent {parent:?} is a systemd slice, but the cgroup driver of this runtime is cgroupfs: \
         let the kubelet ask the runtime for the driver, or set its cgroupDriver to cgroupfs"
    )]
    SystemdParent {
        /// The parent as the client sent it, cut to 256 characters.
        parent: String,
    },
}
