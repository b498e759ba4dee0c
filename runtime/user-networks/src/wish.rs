// SPDX-License-Identifier: Apache-2.0
//! What a pod is to have in a network.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a pod is to have in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// A name, an id, or the beginning of an id.
    pub network: String,
    /// Names of the pod in this network only.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Its IPv4 address; chosen when there is none.
    #[serde(default)]
    pub ipv4: Option<Ipv4Addr>,
    /// Its IPv6 address; chosen when there is none.
    #[serde(default)]
    pub ipv6: Option<Ipv6Addr>,
    /// Of the pod's networks, the one with the highest number has the default route; of equal ones, the first by name.
    #[serde(default)]
    pub gateway_priority: i32,
    /// Hardware address; derived from the IP address when there is none.
    #[serde(default)]
    pub mac: Option<[u8; 6]>,
}

impl Wish {
    /// The address that is wished for in a family.
    pub(crate) fn address(&self, v4: bool) -> Option<IpAddr> {
        if v4 { self.ipv4.map(IpAddr::V4) } else { self.ipv6.map(IpAddr::V6) }
    }
}
