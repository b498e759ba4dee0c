// SPDX-License-Identifier: Apache-2.0
//! The networks of one pod: the content of its record.

use crate::wish::Wish;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;

/// Version of the record.
pub const VERSION: u32 = 1;
/// Kind of the record.
pub const KIND: &str = "network-member";

/// A pod's place in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Id of the network.
    pub network_id: String,
    /// Name of the network.
    pub network: String,
    /// The interface in the pod: `eth0`.
    pub interface: String,
    /// With the subnets' prefix lengths, IPv4 first.
    pub addresses: Vec<IpNet>,
    /// The bridge's addresses, in the same order.
    pub gateways: Vec<IpAddr>,
    /// Hardware address.
    pub mac: [u8; 6],
    /// The interface's other end, on the node.
    pub host_interface: String,
    /// What the pod is found by: its names, then its aliases in this network.
    pub names: Vec<String>,
    /// Whether the network has no way out.
    pub internal: bool,
    /// The network with the highest priority has the pod's default route; of equal ones, the first by name.
    pub gateway_priority: i32,
}

/// How far a place in a network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The pod has it, or is to have it once it is up.
    Member,
    /// A pod that is up is being given it.
    Joining,
    /// A pod that is up is losing it.
    Leaving,
}

/// A pod's place in a network, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// What was wished for; `network` is the id.
    pub wish: Wish,
    /// Names of the pod.
    pub names: Vec<String>,
    /// Name of the network.
    pub network: String,
    /// The interface in the pod.
    pub interface: String,
    /// With prefix lengths.
    pub addresses: Vec<IpNet>,
    /// The bridge's addresses, in the same order.
    pub gateways: Vec<IpAddr>,
    /// Hardware address.
    pub mac: [u8; 6],
    /// The other end.
    pub host_interface: String,
    /// Whether the network has no way out.
    pub internal: bool,
    /// How far it is.
    pub phase: Phase,
}

impl Place {
    /// The network's id.
    pub fn network_id(&self) -> &str {
        &self.wish.network
    }

    /// For others.
    pub fn membership(&self) -> Membership {
        Membership {
            network_id: self.wish.network.clone(),
            network: self.network.clone(),
            interface: self.interface.clone(),
            addresses: self.addresses.clone(),
            gateways: self.gateways.clone(),
            mac: self.mac,
            host_interface: self.host_interface.clone(),
            names: self.names.iter().chain(&self.wish.aliases).cloned().collect(),
            internal: self.internal,
            gateway_priority: self.wish.gateway_priority,
        }
    }

    /// The wish, with the network by its name.
    pub fn wish(&self) -> Wish {
        Wish { network: self.network.clone(), ..self.wish.clone() }
    }
}

/// What a pod has besides its places in these networks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Besides {
    /// Nothing: `eth0` is the interface of the first one, and the default routes lead into them.
    #[default]
    Nothing,
    /// `eth0` and default routes of the node's default network, which stay as they are.
    DefaultNetwork,
}

impl Besides {
    fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

/// The networks of one pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// The pod's id.
    pub pod_id: String,
    /// The path of its network namespace, once it was attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<PathBuf>,
    /// What it has besides its places.
    #[serde(default, skip_serializing_if = "Besides::is_nothing")]
    pub besides: Besides,
    /// Its places, in the order of their interfaces.
    pub places: Vec<Place>,
}

impl Pod {
    /// Its place in a network.
    pub fn place(&self, network_id: &str) -> Option<&Place> {
        self.places.iter().find(|place| place.network_id() == network_id)
    }

    /// Where its default routes go, those of a network that it is losing aside: one gateway of a family at most.
    pub fn default_gateways(&self) -> Vec<IpAddr> {
        let mut places: Vec<&Place> =
            self.places.iter().filter(|place| !place.internal && place.phase != Phase::Leaving).collect();
        if self.besides == Besides::DefaultNetwork {
            return Vec::new();
        }
        places.sort_by_key(|place| (std::cmp::Reverse(place.wish.gateway_priority), place.network.as_str()));
        let first = |v4| places.iter().flat_map(|place| &place.gateways).find(|ip: &&IpAddr| ip.is_ipv4() == v4);
        [first(true), first(false)].into_iter().flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_kernel::checked;

    /// A record as it was first written.
    const FIRST: &[u8] = include_bytes!("golden/network-member-1");

    fn place(name: &str, gateways: &[&str], priority: i32) -> Place {
        let gateways: Vec<IpAddr> = gateways.iter().map(|ip| ip.parse().expect("address")).collect();
        Place {
            wish: Wish { network: format!("id of {name}"), gateway_priority: priority, ..Wish::default() },
            names: vec!["web".into()],
            network: name.into(),
            interface: "eth0".into(),
            addresses: vec!["10.7.0.2/16".parse().expect("net")],
            gateways,
            mac: [2, 0x67, 10, 7, 0, 2],
            host_interface: "gu0123456789abc".into(),
            internal: false,
            phase: Phase::Member,
        }
    }

    fn pod(places: Vec<Place>) -> Pod {
        Pod { pod_id: "0123".into(), netns: Some("/run/netns/x".into()), besides: Besides::Nothing, places }
    }

    #[test]
    fn the_first_records_are_read_and_written_as_they_are() {
        let mut first = place("front", &["10.7.0.1"], 5);
        first.wish.aliases = vec!["db".into()];
        first.wish.ipv4 = Some([10, 7, 0, 2].into());
        first.wish.mac = Some(first.mac);
        let wanted = pod(vec![first]);
        let read = checked::decode(KIND, VERSION, FIRST).expect("whole");
        assert_eq!(serde_json::from_slice::<Pod>(read.body).expect("JSON"), wanted);
        assert_eq!(checked::encode(KIND, VERSION, &serde_json::to_vec(&wanted).expect("JSON")), FIRST);
    }

    #[test]
    fn the_default_route_goes_by_priority_then_by_name_and_never_through_an_internal_network() {
        let [a, b, c] = [
            place("a", &["10.1.0.1"], 0),
            place("b", &["10.2.0.1", "fd02::1"], 0),
            place("c", &["10.3.0.1", "fd03::1"], 1),
        ];
        let gateways = |places: &[&Place]| {
            let all = pod(places.iter().map(|place| (*place).clone()).collect()).default_gateways();
            all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(gateways(&[&b, &a]), "10.1.0.1 fd02::1");
        assert_eq!(gateways(&[&a, &b, &c]), "10.3.0.1 fd03::1");
        assert_eq!(gateways(&[&a, &b, &Place { internal: true, ..c.clone() }]), "10.1.0.1 fd02::1");
        assert_eq!(gateways(&[&a, &b, &Place { phase: Phase::Leaving, ..c }]), "10.1.0.1 fd02::1");
        assert_eq!(gateways(&[]), "");
    }
}
