// SPDX-License-Identifier: Apache-2.0
//! Addresses and default routes of the pod's interface.

use super::link::{LOOPBACK, loopback, set_up};
use super::netlink::{CREATE, Request, Route};
use crate::failure::{self, Kind, Result};
use crate::wire::PodNetwork;
use gorae_kernel::netlink::word;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use std::net::IpAddr;

/// A checked [`PodNetwork`].
#[derive(Debug, Clone)]
pub struct Network {
    pub(super) bridge: String,
    pub(super) host_interface: String,
    pub(super) interface: String,
    pub(super) mtu: u32,
    addresses: Vec<(IpAddr, u8)>,
    gateways: Vec<IpAddr>,
}

impl Network {
    /// Parses names, addresses and gateways.
    ///
    /// # Errors
    /// `InvalidArgument`, with the text that is not an address, a prefix or an interface name.
    pub fn checked(wire: &PodNetwork) -> Result<Self> {
        for name in [&wire.bridge, &wire.host_interface, &wire.interface] {
            if !is_interface_name(name) {
                return Err(failure::refused(Kind::InvalidArgument, "check interface", name, "not an interface name"));
            }
        }
        Ok(Self {
            bridge: wire.bridge.clone(),
            host_interface: wire.host_interface.clone(),
            interface: wire.interface.clone(),
            mtu: wire.mtu,
            addresses: wire.addresses.iter().map(|text| address(text)).collect::<Result<_>>()?,
            gateways: wire.gateways.iter().map(|text| gateway(text)).collect::<Result<_>>()?,
        })
    }

    /// The name of the host's end.
    pub fn host_interface(&self) -> &str {
        &self.host_interface
    }

    /// Brings loopback and the pod's interface up, and gives it addresses and default routes.
    ///
    /// - Shapes: `route` is in the pod's network namespace, where the interface already exists.
    ///
    /// # Errors
    /// The kernel's error, with the interface, address or gateway that it refused.
    pub fn configure(&self, route: &mut Route) -> Result<()> {
        let index = rustix::net::netdevice::name_to_index(route.fd(), &self.interface)
            .map_err(|errno| failure::kernel("look up interface", &self.interface, errno))?;
        let mut requests = vec![loopback(), set_up(index, &self.interface)];
        requests.extend(self.addresses.iter().map(|&(ip, prefix)| self.add_address(index, ip, prefix)));
        requests.extend(self.gateways.iter().map(|&ip| self.add_default_route(index, ip)));
        route.run(&requests)
    }

    /// A locally administered MAC address, made from the last four bytes of the first IP address.
    pub(super) fn mac(&self) -> Option<Vec<u8>> {
        let tail = match self.addresses.first()?.0 {
            IpAddr::V4(ip) => ip.octets(),
            IpAddr::V6(ip) => *ip.octets().last_chunk()?,
        };
        Some([&[0x02, 0x67], &tail[..]].concat())
    }

    fn add_address(&self, index: u32, ip: IpAddr, prefix: u8) -> Request {
        let mut message = AddressMessage::default();
        message.header.family = family(ip);
        message.header.prefix_len = prefix;
        message.header.index = index;
        message.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
        if ip.is_ipv6() {
            // The daemon assigns an address to one pod at a time, and duplicate address detection would take a second.
            message.header.flags = AddressHeaderFlags::Nodad;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        Request::new(libc::RTM_NEWADDR, CREATE, &message, "add address", format!("{ip}/{prefix}"))
    }

    fn add_default_route(&self, index: u32, ip: IpAddr) -> Request {
        let reached = self.addresses.iter().any(|&(own, prefix)| same_subnet(own, ip, prefix));
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: family(ip),
            table: RouteHeader::RT_TABLE_MAIN,
            protocol: RouteProtocol::Boot,
            scope: RouteScope::Universe,
            kind: RouteType::Unicast,
            flags: if reached { RouteFlags::empty() } else { RouteFlags::Onlink },
            ..RouteHeader::default()
        };
        let via = match ip {
            IpAddr::V4(ip) => RouteAddress::Inet(ip),
            IpAddr::V6(ip) => RouteAddress::Inet6(ip),
        };
        message.attributes = vec![RouteAttribute::Gateway(via), RouteAttribute::Oif(index)];
        Request::new(libc::RTM_NEWROUTE, CREATE, &message, "add default route", format!("via {ip}"))
    }
}

/// Removes every address from the interfaces of the socket's namespace, except loopback, so that it stops responding
/// for them at once, although the kernel destroys the namespace later.
///
/// # Errors
/// The kernel's error. The other addresses are removed all the same.
pub fn forget_addresses(route: &mut Route) -> Result<()> {
    let everything = AddressMessage::default();
    let dump = Request::new(libc::RTM_GETADDR, libc::NLM_F_DUMP as u16, &everything, "list", "addresses");
    let mut requests = Vec::new();
    // A removal request takes exactly the body that the dump returns. Bytes 4 to 7 are the interface.
    route.ask(dump, |body| {
        if word(body, 4).is_some_and(|index| index != LOOPBACK) {
            requests.push(Request::raw(libc::RTM_DELADDR, 0, body.to_vec(), "remove address", "of the pod"));
        }
    })?;
    route.run(&requests)
}

fn family(ip: IpAddr) -> AddressFamily {
    if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

/// Whether the kernel accepts this as a name: 1 to 15 bytes, no slash, colon or blank, and not "." or "..".
fn is_interface_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && b != b'/' && b != b':';
    (1..16).contains(&name.len()) && name.bytes().all(plain) && name != "." && name != ".."
}

fn address(text: &str) -> Result<(IpAddr, u8)> {
    let refuse = || failure::refused(Kind::InvalidArgument, "check address", text, "not an address with prefix length");
    let (ip, prefix) = text.split_once('/').ok_or_else(refuse)?;
    let ip: IpAddr = ip.parse().map_err(|_| refuse())?;
    let prefix: u8 = prefix.parse().map_err(|_| refuse())?;
    let longest = if ip.is_ipv4() { 32 } else { 128 };
    if prefix <= longest { Ok((ip, prefix)) } else { Err(refuse()) }
}

fn gateway(text: &str) -> Result<IpAddr> {
    text.parse().map_err(|_| failure::refused(Kind::InvalidArgument, "check gateway", text, "not an address"))
}

fn same_subnet(a: IpAddr, b: IpAddr, prefix: u8) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            (a.to_bits() ^ b.to_bits()).checked_shr(32 - u32::from(prefix)).unwrap_or(0) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            (a.to_bits() ^ b.to_bits()).checked_shr(128 - u32::from(prefix)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> PodNetwork {
        PodNetwork {
            bridge: "gorae0".into(),
            host_interface: "gv0123456789abc".into(),
            interface: "eth0".into(),
            addresses: vec!["10.88.0.5/20".into(), "fd00:88::5/64".into()],
            gateways: vec!["10.88.0.1".into(), "fd00:88::1".into()],
            mtu: 0,
        }
    }

    #[test]
    fn the_mac_address_follows_the_first_ip_address() {
        assert_eq!(Network::checked(&wire()).unwrap().mac(), Some(vec![0x02, 0x67, 10, 88, 0, 5]));
    }

    #[test]
    fn what_is_not_a_name_or_address_is_refused() {
        for (change, object) in [
            ((|w| w.bridge = "".into()) as fn(&mut PodNetwork), ""),
            (|w| w.interface = "a/b".into(), "a/b"),
            (|w| w.host_interface = "sixteen-bytes-xx".into(), "sixteen-bytes-xx"),
            (|w| w.addresses = vec!["10.0.0.1".into()], "10.0.0.1"),
            (|w| w.addresses = vec!["10.0.0.1/33".into()], "10.0.0.1/33"),
            (|w| w.gateways = vec!["10.0.0.1/8".into()], "10.0.0.1/8"),
        ] {
            let mut wire = wire();
            change(&mut wire);
            let failure = Network::checked(&wire).unwrap_err();
            assert_eq!((failure.kind(), failure.object.as_str()), (Kind::InvalidArgument, object));
        }
    }

    #[test]
    fn subnets_are_compared_at_every_prefix_length() {
        for (a, b, prefix, same) in [
            ("10.88.0.5", "10.88.15.1", 20, true),
            ("10.88.0.5", "10.88.16.1", 20, false),
            ("10.88.0.5", "11.0.0.1", 0, true),
            ("10.88.0.5", "10.88.0.1", 32, false),
            ("fd00::5", "fd00::1", 64, true),
            ("fd00::5", "fe80::1", 64, false),
            ("fd00::5", "10.0.0.1", 0, false),
        ] {
            assert_eq!(same_subnet(a.parse().unwrap(), b.parse().unwrap(), prefix), same, "{a} {b} {prefix}");
        }
    }
}
