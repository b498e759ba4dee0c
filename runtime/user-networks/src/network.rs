// SPDX-License-Identifier: Apache-2.0
//! A network as it was made: the content of its record.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Version of the record.
pub const VERSION: u32 = 1;
/// Kind of the record.
pub const KIND: &str = "user-network";

/// A network that somebody made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// 64 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made: nanoseconds since 1970.
    pub created_at: i64,
    /// One or two: IPv4 first.
    pub subnets: Vec<Subnet>,
    /// No way out of it, and none in.
    pub internal: bool,
    /// Bytes; `None` for that of the node's default route.
    pub mtu: Option<u32>,
    /// Labels, as they were given.
    pub labels: BTreeMap<String, String>,
    /// Options, as they were given.
    pub options: BTreeMap<String, String>,
    /// The interface on the node.
    pub bridge: String,
    /// Its pods do not reach each other.
    pub isolated: bool,
    /// What leaves it has the node's address.
    pub masquerade: bool,
}

/// A subnet of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// The subnet, without host bits.
    pub subnet: IpNet,
    /// Where addresses are chosen from; all of the subnet when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<IpNet>,
    /// The bridge's address.
    pub gateway: IpAddr,
    /// Whether the subnet was given, not chosen.
    pub given: bool,
}

impl Network {
    /// The subnet of a family.
    pub fn subnet(&self, v4: bool) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.is_v4() == v4)
    }

    /// Its subnets, and nothing else of them.
    pub(crate) fn nets(&self) -> Vec<IpNet> {
        self.subnets.iter().map(|subnet| subnet.subnet).collect()
    }

    /// The addresses of the bridge, with prefix length.
    pub(crate) fn gateways(&self) -> Vec<IpNet> {
        self.subnets.iter().map(|subnet| subnet.with_prefix(subnet.gateway)).collect()
    }

    /// The subnets whose traffic leaves with the node's address: all of them, as with Docker, also global prefixes of IPv6.
    /// Whether the world has a route for such a prefix to this node cannot be seen here. Without one, no answer would come
    /// back; with one, the option says so.
    pub(crate) fn masqueraded(&self) -> Vec<IpNet> {
        let all = self.subnets.iter().map(|subnet| subnet.subnet);
        if self.masquerade && !self.internal { all.collect() } else { Vec::new() }
    }
}

impl Subnet {
    /// Whether it is IPv4.
    pub fn is_v4(&self) -> bool {
        matches!(self.subnet, IpNet::V4(_))
    }

    /// An address of the subnet, with the subnet's prefix length.
    pub(crate) fn with_prefix(&self, ip: IpAddr) -> IpNet {
        IpNet::new(ip, self.subnet.prefix_len()).unwrap_or_else(|_| ip.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_kernel::checked;

    /// A record as it was first written. It must be readable for ever: pods have addresses of it.
    const FIRST: &[u8] = include_bytes!("golden/user-network-1");

    pub(crate) fn network() -> Network {
        Network {
            id: "0123456789abcdef".repeat(4),
            name: "web".into(),
            created_at: 1_790_000_000_000_000_000,
            subnets: vec![
                Subnet {
                    subnet: "10.7.0.0/16".parse().expect("net"),
                    range: Some("10.7.9.0/24".parse().expect("net")),
                    gateway: "10.7.0.1".parse().expect("address"),
                    given: true,
                },
                Subnet {
                    subnet: "fd12:3456:789a:1::/64".parse().expect("net"),
                    range: None,
                    gateway: "fd12:3456:789a:1::1".parse().expect("address"),
                    given: false,
                },
            ],
            internal: false,
            mtu: Some(1400),
            labels: BTreeMap::from([("tier".into(), "front".into())]),
            options: BTreeMap::from([("com.docker.network.driver.mtu".into(), "1400".into())]),
            bridge: "gn-0123456789a".into(),
            isolated: false,
            masquerade: true,
        }
    }

    #[test]
    fn the_first_records_are_read_and_written_as_they_are() {
        let read = checked::decode(KIND, VERSION, FIRST).expect("whole");
        assert_eq!(serde_json::from_slice::<Network>(read.body).expect("JSON"), network());
        assert_eq!(checked::encode(KIND, VERSION, &serde_json::to_vec(&network()).expect("JSON")), FIRST);
    }

    #[test]
    fn every_subnet_is_masqueraded_unless_the_network_says_otherwise() {
        let mut net = network();
        assert_eq!(net.masqueraded().len(), 2);
        net.subnets[1].subnet = "2001:db8::/64".parse().expect("net");
        assert_eq!(net.masqueraded(), ["10.7.0.0/16", "2001:db8::/64"].map(|net| net.parse::<IpNet>().expect("net")));
        assert!(Network { masquerade: false, ..net.clone() }.masqueraded().is_empty());
        assert!(Network { internal: true, ..net }.masqueraded().is_empty());
    }
}
