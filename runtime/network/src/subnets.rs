// SPDX-License-Identifier: Apache-2.0
//! The subnets of this node's pods: one of a family, or one of each, in the order in which a pod has its addresses.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// A family of addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    #[default]
    #[serde(rename = "ipv4")]
    V4,
    /// IPv6.
    #[serde(rename = "ipv6")]
    V6,
}

impl Family {
    /// Whether it is IPv4, which is not written into records.
    pub fn is_v4(&self) -> bool {
        *self == Self::V4
    }
}

/// Which families pods have, and which one comes first: `network.families`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Families {
    /// IPv4 alone.
    #[serde(rename = "ipv4")]
    V4,
    /// IPv6 alone.
    #[serde(rename = "ipv6")]
    V6,
    /// Both, IPv4 first.
    #[serde(rename = "ipv4,ipv6")]
    V4First,
    /// Both, IPv6 first.
    #[serde(rename = "ipv6,ipv4")]
    V6First,
}

impl Families {
    /// Whether pods have an IPv4 address.
    pub fn has_v4(self) -> bool {
        self != Self::V6
    }

    /// Whether pods have an IPv6 address.
    pub fn has_v6(self) -> bool {
        self != Self::V4
    }

    /// The family of a pod's first address.
    pub fn first(self) -> Family {
        if matches!(self, Self::V4 | Self::V4First) { Family::V4 } else { Family::V6 }
    }
}

/// The subnets of this node's pods; at least one of them is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnets {
    /// The IPv4 subnet.
    #[serde(rename = "subnet", default, skip_serializing_if = "Option::is_none")]
    pub v4: Option<Ipv4Net>,
    /// The IPv6 subnet.
    #[serde(rename = "subnet6")]
    pub v6: Option<Ipv6Net>,
    /// The family of a pod's first address, if it has both.
    #[serde(default, skip_serializing_if = "Family::is_v4")]
    pub first: Family,
}

impl Subnets {
    /// The subnets without the bits of a host.
    pub fn new(v4: Option<Ipv4Net>, v6: Option<Ipv6Net>, first: Family) -> Self {
        Self { v4: v4.map(|net| net.trunc()), v6: v6.map(|net| net.trunc()), first }
    }

    /// One or two, in the order of a pod's addresses.
    pub fn in_order(&self) -> Vec<IpNet> {
        let mut all: Vec<IpNet> = self.v4.map(IpNet::V4).into_iter().chain(self.v6.map(IpNet::V6)).collect();
        if self.first == Family::V6 {
            all.reverse();
        }
        all
    }

    /// As kubelet writes it: one, or two with a comma.
    pub fn text(&self) -> String {
        self.in_order().iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    /// The families that are there.
    pub fn families(&self) -> Families {
        match (self.v4, self.v6, self.first) {
            (_, None, _) => Families::V4,
            (None, _, _) => Families::V6,
            (_, _, Family::V4) => Families::V4First,
            (_, _, Family::V6) => Families::V6First,
        }
    }
}
