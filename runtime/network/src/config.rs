// SPDX-License-Identifier: Apache-2.0
//! The settings of the built-in network.

use crate::addresses::Addresses;
use crate::error::NetworkError;
use crate::names;
use ipnet::{Ipv4Net, Ipv6Net};

/// The settings, all of them optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Name of bridge and table; default: derived from the root directory.
    pub bridge: Option<String>,
    /// Subnet of this node's pods; default: kubelet's pod CIDR, else a free /20, chosen once and recorded.
    pub subnet: Option<Ipv4Net>,
    /// IPv6 subnet; default: none, pods are IPv4 only.
    pub subnet6: Option<Ipv6Net>,
    /// MTU of bridge and pods in bytes; default: that of the interface with the default route.
    pub mtu: Option<u32>,
    /// Whether to add rules for the pods' subnets to firewalls of others that drop what the node forwards.
    pub open_forward: bool,
}

impl NetworkConfig {
    /// Checks what does not depend on the node.
    ///
    /// # Errors
    /// [`NetworkError::Config`], [`NetworkError::SubnetTooSmall`].
    pub fn check(&self) -> Result<(), NetworkError> {
        let bad = |key, value: &dyn ToString, why| Err(NetworkError::Config { key, value: value.to_string(), why });
        if let Some(bridge) = &self.bridge {
            let allowed = bridge.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            if bridge.is_empty() || bridge.len() > names::MAX_INTERFACE_NAME || !allowed || bridge == "all" {
                return bad("bridge", bridge, "is not a valid interface name (1 to 15 letters, digits, - or _)");
            }
        }
        if let Some(mtu) = self.mtu.filter(|mtu| !(1280..=65_535).contains(mtu)) {
            return bad("mtu", &mtu, "is not in 1280..65535");
        }
        match (self.subnet, self.subnet6) {
            (Some(subnet), subnet6) => Addresses::new(subnet, subnet6).map(drop),
            (None, _) => Ok(()),
        }
    }
}
