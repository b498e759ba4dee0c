// SPDX-License-Identifier: Apache-2.0
//! What the configuration says about the node, checked.

use crate::handlers::Handlers;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What becomes of a mount whose host path does not exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingHostPath {
    /// A directory is made there, as containerd and CRI-O do: manifests count on it.
    #[default]
    Create,
    /// The container is refused, as the CRI's text says.
    Refuse,
}

/// What a running daemon takes when its configuration is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// How often the node is reconciled.
    pub reconcile_every: Duration,
    /// Directories of CDI spec files, absolute; a later one wins.
    pub cdi_directories: Vec<PathBuf>,
}

/// The settings of one node.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What can run pods.
    pub handlers: Handlers,
    /// What becomes of a mount whose host path does not exist.
    pub missing_host_path: MissingHostPath,
    /// What may change while the daemon runs; clones share it.
    pub live: Arc<watch::Sender<Live>>,
}
