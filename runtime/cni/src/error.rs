// SPDX-License-Identifier: Apache-2.0
//! Why a network could not do what it was asked.

use crate::call::Command;

/// What went wrong. The text has the form that operators search for: `plugin type="X" failed (add): WHY`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The plugin said so, or ended without saying anything.
    #[error("plugin type=\"{kind}\" failed ({command}): {why}")]
    Plugin {
        /// Type of the plugin.
        kind: String,
        /// What it was asked.
        command: Command,
        /// The code of the specification; `None` when the plugin gave none.
        code: Option<u64>,
        /// Its words, or how it ended.
        why: String,
    },
    /// None of the directories has the plugin's program.
    #[error("plugin type=\"{kind}\" not found in {searched}: install it, or set network.plugin_directories")]
    NotFound {
        /// Type of the plugin.
        kind: String,
        /// The directories, with commas.
        searched: String,
    },
    /// A directory of plugins does not answer, so nobody knows whether the program is there.
    #[error("plugin type=\"{kind}\" cannot be looked up: {why}")]
    NoAnswer {
        /// Type of the plugin.
        kind: String,
        /// Which directory.
        why: String,
    },
    /// A result that is not one.
    #[error("the result of plugin type=\"{kind}\" cannot be used: {why}")]
    Result {
        /// Type of the plugin.
        kind: String,
        /// What is wrong with it.
        why: String,
    },
    /// The network gave the pod no address.
    #[error("network {network:?} gave the pod no address: its last plugin's result has no ips for {interface}")]
    NoAddress {
        /// Name of the network.
        network: String,
        /// The interface that should have them.
        interface: String,
    },
    /// A value cannot be given to a plugin.
    #[error("{0}")]
    Argument(String),
}

impl Error {
    /// Whether the plugin's program is missing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}
