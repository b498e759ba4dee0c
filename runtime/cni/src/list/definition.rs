// SPDX-License-Identifier: Apache-2.0
//! What a network configuration says.

use super::plugin::Plugin;
use crate::version::Version;

/// A network configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// Name of the network.
    pub name: String,
    /// The version that its plugins are spoken to in.
    pub version: Version,
    /// The plugins, in the order of ADD; at least one.
    pub plugins: Vec<Plugin>,
    /// CHECK must not be asked for.
    pub disable_check: bool,
    /// GC must not be asked for.
    pub disable_gc: bool,
}

impl List {
    /// Whether one of the plugins wants the values of this capability.
    pub fn wants(&self, capability: &str) -> bool {
        self.plugins.iter().any(|plugin| plugin.wants(capability))
    }

    /// The bytes from which [`parse`](super::parse) makes an equal list, with all plugins inside: for a record.
    pub fn to_bytes(&self) -> Vec<u8> {
        let plugins: Vec<_> = self.plugins.iter().map(Plugin::object).collect();
        let whole = serde_json::json!({
            "name": self.name,
            "cniVersion": self.version.as_str(),
            "disableCheck": self.disable_check,
            "disableGC": self.disable_gc,
            "loadOnlyInlinedPlugins": true,
            "plugins": plugins,
        });
        whole.to_string().into_bytes()
    }
}
