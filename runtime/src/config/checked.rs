// SPDX-License-Identifier: Apache-2.0
//! The configuration after checking, which the daemon runs with.

use super::admin::{self, Admin};
use super::images::{self, Images};
use super::live;
use super::paths;
use super::raw::{Overrides, RawConfig};
use super::streaming::{self, Streaming};
use super::{network, runtimes};
use crate::log::{Format, Level};
use gorae_network::NetworkConfig;
use gorae_node::handlers::Handlers;
use gorae_node::networks::Mode;
use gorae_node::settings::{Live, MissingHostPath, Settings};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// The checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where pods, containers and images are kept; absolute.
    pub root: PathBuf,
    /// Where state that does not survive a reboot is kept; absolute.
    pub state: PathBuf,
    /// Absolute path of the CRI socket.
    pub socket: PathBuf,
    /// Absolute path of the shim binary.
    pub shim: PathBuf,
    /// The format of log lines.
    pub log_format: Format,
    /// Where images come from and how they are pulled.
    pub images: Images,
    /// Which network new pods are in.
    pub network_mode: Mode,
    /// Where CNI configurations and plugins are.
    pub cni: gorae_attachments::Places,
    /// The built-in network, as far as it can be checked without the machine.
    pub network: NetworkConfig,
    /// Where exec, attach and port-forward sessions are served.
    pub streaming: Streaming,
    /// The address of the listener for operators.
    pub admin: Admin,
    /// Names of runtime handlers.
    pub handlers: Handlers,
    /// What to do with a mount whose host path does not exist.
    pub missing_host_path: MissingHostPath,
    /// The least severe level that is logged. It may change while the daemon runs, also through the admin listener;
    /// clones share it.
    pub log_level: Arc<watch::Sender<Level>>,
    /// The other settings that may change while the daemon runs; clones share them.
    pub live: Arc<watch::Sender<Live>>,
}

impl Config {
    /// The settings that the node needs.
    pub fn settings(&self) -> Settings {
        Settings { handlers: self.handlers.clone(), missing_host_path: self.missing_host_path, live: self.live.clone() }
    }
}

/// Checks everything; the command line overrides the file.
///
/// # Errors
/// A sentence that begins with the key and says what is allowed.
pub fn check(raw: RawConfig, over: &Overrides) -> Result<Config, String> {
    let paths = paths::check(&raw, over)?;
    let admin = admin::check(&raw.admin, &paths)?;
    let paths::Paths { root, state, socket, shim } = paths;
    let (log_level, live) = live::check(&raw, over)?;
    Ok(Config {
        root,
        state,
        socket,
        shim,
        admin,
        log_format: log_format(&raw, over)?,
        log_level: Arc::new(watch::Sender::new(log_level)),
        live: Arc::new(watch::Sender::new(live)),
        images: images::check(raw.images)?,
        network_mode: raw.network.mode.unwrap_or_default(),
        cni: network::cni(&raw.network)?,
        network: network::check(raw.network)?,
        streaming: streaming::check(raw.streaming)?,
        handlers: runtimes::check(&raw.runtimes)?,
        missing_host_path: raw.mounts.missing_host_path.unwrap_or_default(),
    })
}

fn log_format(raw: &RawConfig, over: &Overrides) -> Result<Format, String> {
    match over.log_format.as_ref().or(raw.log_format.as_ref()) {
        Some(word) => word.parse().map_err(|e| format!("log_format: {e}")),
        None => Ok(Format::Text),
    }
}
