// SPDX-License-Identifier: Apache-2.0
//! The settings of the built-in network.

use crate::addresses::Addresses;
use crate::error::NetworkError;
use crate::names;
use crate::subnets::{Families, Family, Subnets};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Whose traffic is masqueraded when it leaves the node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Masquerade {
    /// That of pods with addresses to which nobody else has a route: IPv4, and unique local IPv6 (fc00::/7).
    #[default]
    Auto,
    /// That of all pods.
    Always,
    /// That of no pod: the network has routes to them.
    Never,
}

impl Masquerade {
    /// Whether it is that of pods in this subnet.
    pub fn includes(self, subnet: &IpNet) -> bool {
        match (self, subnet) {
            (Self::Always, _) | (Self::Auto, IpNet::V4(_)) => true,
            (Self::Never, _) => false,
            (Self::Auto, IpNet::V6(net)) => net.addr().is_unique_local(),
        }
    }
}

/// The settings, all of them optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Name of bridge and table; default: derived from the root directory.
    pub bridge: Option<String>,
    /// Which families pods have, and which one comes first; default: those of the subnets.
    pub families: Option<Families>,
    /// Subnet of this node's pods; default: kubelet's pod CIDR, else a free /20, chosen once and recorded.
    pub subnet: Option<Ipv4Net>,
    /// IPv6 subnet; default: that of kubelet's pod CIDR, else none.
    pub subnet6: Option<Ipv6Net>,
    /// MTU of bridge and pods in bytes; default: that of the interface with the default route.
    pub mtu: Option<u32>,
    /// Whose traffic is masqueraded when it leaves the node.
    pub masquerade: Masquerade,
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
        if self.families.is_some_and(|families| !families.has_v4()) && self.subnet.is_some() {
            return bad("families", &"ipv6", "leaves no use for network.subnet");
        }
        if self.families.is_some_and(|families| !families.has_v6()) && self.subnet6.is_some() {
            return bad("families", &"ipv4", "leaves no use for network.subnet6");
        }
        Addresses::within(Subnets::new(self.subnet, self.subnet6, Family::V4)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_that_the_world_routes_is_not_masqueraded_unless_it_is_asked_for() {
        for (subnet, auto) in
            [("10.64.0.0/20", true), ("203.0.113.0/24", true), ("fd00::/64", true), ("2001:db8::/64", false)]
        {
            let net = subnet.parse().expect("net");
            let answers = [Masquerade::Auto, Masquerade::Always, Masquerade::Never].map(|m| m.includes(&net));
            assert_eq!(answers, [auto, true, false], "{subnet}");
        }
    }

    #[test]
    fn a_subnet_of_a_family_that_pods_do_not_have_is_refused() {
        let (subnet, subnet6) = ("10.9.0.0/24".parse().ok(), "fd00::/64".parse().ok());
        for (families, ok) in
            [(Families::V4, false), (Families::V6, false), (Families::V4First, true), (Families::V6First, true)]
        {
            let config = NetworkConfig { families: Some(families), subnet, subnet6, ..Default::default() };
            assert_eq!(config.check().is_ok(), ok, "{families:?}");
        }
    }
}
