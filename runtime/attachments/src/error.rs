// SPDX-License-Identifier: Apache-2.0
//! Why an attachment could not be made or undone.

use std::path::PathBuf;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an attachment could not be made or undone.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A plugin failed.
    #[error(transparent)]
    Network(#[from] gorae_cni::Error),
    /// A record could not be written or removed.
    #[error("{what} {}: {source}", path.display())]
    Record {
        /// The step.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// A record is whole, but this program cannot use it.
    #[error("{}: {why}; nothing was touched. Another program wrote it: run that one again, or move it away", path.display())]
    Foreign {
        /// Its directory.
        path: PathBuf,
        /// What is foreign.
        why: String,
    },
    /// Something else of the pod or its network had to end first, and did not in time.
    #[error(
        "the network is still removing an earlier attempt of pod {pod}, or what was there before a reboot; try again"
    )]
    Busy {
        /// Namespace and name of the pod.
        pod: String,
    },
    /// The DEL has not ended in the time that its caller has.
    #[error("network {network:?} is still removing the pod after {seconds} s; it goes on in the background")]
    Slow {
        /// Name of the network.
        network: String,
        /// How long was waited.
        seconds: u64,
    },
}
