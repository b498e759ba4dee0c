// SPDX-License-Identifier: Apache-2.0
//! The checked request for a pod's network.

use super::veth::Pair;
use crate::failure::{self, Kind, Result};
use crate::wire::PodNetwork;
use std::net::IpAddr;

/// The group of all host ends: packet filters know them by it.
const GROUP: u32 = 0x676f;

/// A checked [`PodNetwork`].
#[derive(Debug, Clone)]
pub struct Network {
    pub(super) host_interface: String,
    pub(super) interface: String,
    pub(super) mtu: u32,
    /// Hardware address of the host end.
    pub(super) host_mac: [u8; 6],
    pub(super) legs: Vec<Leg>,
}

/// What the pod has in one address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leg {
    /// The pod's address.
    pub(super) address: IpAddr,
    /// Its prefix length.
    pub(super) prefix: u8,
    /// Next hop of the pod's default route; the host end has this address, or answers for it.
    pub(super) gateway: IpAddr,
    /// The node's address, from which it talks to the pod.
    pub(super) source: IpAddr,
}

impl Network {
    /// Parses names and addresses.
    ///
    /// # Errors
    /// `InvalidArgument`, with the text that is not an address, a prefix, a hardware address or an interface name.
    pub fn checked(wire: &PodNetwork) -> Result<Self> {
        for name in [&wire.host_interface, &wire.interface] {
            if !is_interface_name(name) {
                return Err(refused("check interface", name, "not an interface name"));
            }
        }
        Ok(Self {
            host_interface: wire.host_interface.clone(),
            interface: wire.interface.clone(),
            mtu: wire.mtu,
            host_mac: hardware_address(&wire.host_mac)?,
            legs: legs(wire)?,
        })
    }

    /// The veth pair.
    pub fn pair(&self) -> Pair<'_> {
        Pair {
            interface: &self.interface,
            host_interface: &self.host_interface,
            mac: self.mac(),
            host_mac: self.host_mac,
            mtu: self.mtu,
            group: GROUP,
        }
    }

    /// The name of the host's end.
    pub fn host_interface(&self) -> &str {
        &self.host_interface
    }

    /// Whether the pod has an IPv6 address.
    pub(super) fn has_ipv6(&self) -> bool {
        self.legs.iter().any(|leg| leg.address.is_ipv6())
    }

    /// The hardware address of the pod's end, locally administered, made from the last four bytes of the first address.
    pub(super) fn mac(&self) -> Option<[u8; 6]> {
        let [a, b, c, d] = match self.legs.first()?.address {
            IpAddr::V4(ip) => ip.octets(),
            IpAddr::V6(ip) => *ip.octets().last_chunk()?,
        };
        Some([0x02, 0x67, a, b, c, d])
    }
}

fn legs(wire: &PodNetwork) -> Result<Vec<Leg>> {
    let count = wire.addresses.len();
    if count > 2 || wire.gateways.len() != count || wire.sources.len() != count {
        let found = format!("{count}, {}, {}", wire.gateways.len(), wire.sources.len());
        return Err(refused("count addresses, gateways, sources", &found, "not the same, or more than two"));
    }
    let texts = wire.addresses.iter().zip(&wire.gateways).zip(&wire.sources);
    let legs: Vec<Leg> =
        texts.map(|((address, gateway), source)| leg(address, gateway, source)).collect::<Result<_>>()?;
    match legs.as_slice() {
        [a, b] if a.address.is_ipv4() == b.address.is_ipv4() => {
            Err(refused("check address", &wire.addresses[1], "a second one of its family"))
        }
        _ => Ok(legs),
    }
}

fn leg(address: &str, gateway: &str, source: &str) -> Result<Leg> {
    let (ip, prefix) = prefixed(address)?;
    let next = |what, text: &str| match text.parse::<IpAddr>() {
        Ok(other) if other.is_ipv4() == ip.is_ipv4() => Ok(other),
        _ => Err(refused(what, text, "not an address of the pod's family")),
    };
    Ok(Leg { address: ip, prefix, gateway: next("check gateway", gateway)?, source: next("check source", source)? })
}

pub(super) fn prefixed(text: &str) -> Result<(IpAddr, u8)> {
    let refuse = || refused("check address", text, "not an address with prefix length");
    let (ip, prefix) = text.split_once('/').ok_or_else(refuse)?;
    let ip: IpAddr = ip.parse().map_err(|_| refuse())?;
    let prefix: u8 = prefix.parse().map_err(|_| refuse())?;
    let longest = if ip.is_ipv4() { 32 } else { 128 };
    if prefix <= longest { Ok((ip, prefix)) } else { Err(refuse()) }
}

pub(super) fn hardware_address(bytes: &[u8]) -> Result<[u8; 6]> {
    let refuse = || refused("check hardware address", &format!("{bytes:02x?}"), "not six bytes for one interface");
    let mac: [u8; 6] = bytes.try_into().map_err(|_| refuse())?;
    // The lowest bit of the first byte stands for a group of interfaces.
    if mac[0] & 1 == 0 && mac != [0; 6] { Ok(mac) } else { Err(refuse()) }
}

/// Whether the kernel accepts this as a name: 1 to 15 bytes, no slash, colon or blank, and not "." or "..".
pub(super) fn is_interface_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && b != b'/' && b != b':';
    (1..16).contains(&name.len()) && name.bytes().all(plain) && name != "." && name != ".."
}

pub(super) fn refused(step: &'static str, object: &str, why: &str) -> failure::Failure {
    failure::refused(Kind::InvalidArgument, step, object, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> PodNetwork {
        PodNetwork {
            bridge: "gorae0".into(),
            host_interface: "gv0123456789abc".into(),
            interface: "eth0".into(),
            addresses: vec!["10.88.0.5/32".into(), "fd00:88::5/128".into()],
            gateways: vec!["10.88.0.1".into(), "fe80::1".into()],
            sources: vec!["10.88.0.1".into(), "fd00:88::1".into()],
            host_mac: vec![2, 1, 1, 1, 1, 1],
            mtu: 0,
        }
    }

    #[test]
    fn the_mac_address_follows_the_first_ip_address() {
        assert_eq!(Network::checked(&wire()).unwrap().mac(), Some([0x02, 0x67, 10, 88, 0, 5]));
    }

    #[test]
    fn an_address_has_its_gateway_and_the_nodes_address_whichever_family_is_first() {
        let mut wire = wire();
        for list in [&mut wire.addresses, &mut wire.gateways, &mut wire.sources] {
            list.reverse();
        }
        let network = Network::checked(&wire).unwrap();
        assert_eq!(network.mac(), Some([0x02, 0x67, 0, 0, 0, 5]));
        let gateways: Vec<String> = network.legs.iter().map(|leg| leg.gateway.to_string()).collect();
        assert_eq!(gateways, ["fe80::1", "10.88.0.1"]);
    }

    #[test]
    fn what_is_not_a_name_or_address_is_refused() {
        type Change = fn(&mut PodNetwork);
        let rows: [(Change, &str); 11] = [
            (|w| w.host_interface = "".into(), ""),
            (|w| w.interface = "a/b".into(), "a/b"),
            (|w| w.host_interface = "sixteen-bytes-xx".into(), "sixteen-bytes-xx"),
            (|w| w.addresses[0] = "10.0.0.1".into(), "10.0.0.1"),
            (|w| w.addresses[0] = "10.0.0.1/33".into(), "10.0.0.1/33"),
            (|w| w.gateways[0] = "10.0.0.1/8".into(), "10.0.0.1/8"),
            (|w| w.sources[1] = "10.0.0.1".into(), "10.0.0.1"),
            (|w| w.sources.truncate(1), "2, 2, 1"),
            (
                |w| {
                    (w.addresses[1], w.gateways[1], w.sources[1]) =
                        ("1.2.3.4/32".into(), "1.1.1.1".into(), "1.1.1.1".into())
                },
                "1.2.3.4/32",
            ),
            (|w| w.host_mac = vec![2; 5], "[02, 02, 02, 02, 02]"),
            (|w| w.host_mac = vec![1; 6], "[01, 01, 01, 01, 01, 01]"),
        ];
        for (change, object) in rows {
            let mut wire = wire();
            change(&mut wire);
            let failure = Network::checked(&wire).unwrap_err();
            assert_eq!((failure.kind(), failure.object.as_str()), (Kind::InvalidArgument, object));
        }
    }
}
