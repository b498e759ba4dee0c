// SPDX-License-Identifier: Apache-2.0
//! The settings that all networks share.

use ipnet::IpNet;
use std::fmt;
use std::sync::Arc;

/// The settings that all networks share.
#[derive(Clone, Default)]
pub struct Config {
    /// MTU in bytes of networks that were made without; default: that of the interface with the default route.
    pub mtu: Option<u32>,
    /// Whether to add rules for the networks' subnets to firewalls of others that drop what the node forwards.
    pub open_forward: bool,
    /// Asked whenever a subnet is chosen or checked: subnets that it must not overlap, whether the node has a route to them
    /// or not. It must not block.
    pub avoid: Option<Arc<dyn Fn() -> Vec<IpNet> + Send + Sync>>,
}

impl Config {
    /// The subnets to avoid at this moment.
    pub(crate) fn avoided(&self) -> Vec<IpNet> {
        self.avoid.as_ref().map(|avoid| avoid()).unwrap_or_default()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("mtu", &self.mtu)
            .field("open_forward", &self.open_forward)
            .field("avoid", &self.avoided())
            .finish()
    }
}
