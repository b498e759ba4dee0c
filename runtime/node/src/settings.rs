// SPDX-License-Identifier: Apache-2.0
//! The node's settings from the configuration, already checked.

use crate::handlers::Handlers;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What to do about a mount whose host path does not exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingHostPath {
    /// Make a directory there, as containerd and CRI-O do: manifests rely on it.
    #[default]
    Create,
    /// Refuse the container, as the CRI specifies.
    Refuse,
}

/// The settings that a running daemon applies when its configuration is reloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// How often the node is reconciled.
    pub reconcile_every: Duration,
    /// Directories of CDI spec files, absolute; a later one overrides an earlier one.
    pub cdi_directories: Vec<PathBuf>,
}

/// The settings of one node.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The runtime handlers that pods can request.
    pub handlers: Handlers,
    /// What to do about a mount whose host path does not exist.
    pub missing_host_path: MissingHostPath,
    /// The settings that may change while the daemon runs; clones share them.
    pub live: Arc<watch::Sender<Live>>,
}
