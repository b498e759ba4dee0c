// SPDX-License-Identifier: Apache-2.0
//! An interface in a network that people made: a veth pair whose host end is a port of the network's bridge.
//!
//! ```text
//! pod: eth1 10.128.3.5/24 ── host end: no address, port of the bridge ── bridge 10.128.3.1/24, other ports
//! ```
//! The daemon owns the bridge and its address. Each step can be repeated, and an interface that exists is kept.

use super::ipv6_settings;
use super::link::set_up;
use super::messages::address;
use super::netlink::{Request, Route};
use super::plan::{hardware_address, is_interface_name, prefixed, refused};
use super::veth::{Pair, create, delete, find};
use crate::failure::{self, Kind, Result};
use crate::proc_sys::ProcSys;
use crate::wire::BridgedInterface;
use gorae_kernel::netlink::word;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{InfoBridgePort, InfoPortData, InfoPortKind, LinkAttribute, LinkInfo, LinkMessage};
use rustix::net::netdevice::name_to_index;
use rustix::time::Timespec;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;

/// The group of all ports. It differs from that of the built-in network's host ends, whose guard checks other things.
const GROUP: u32 = 0x6775;
/// `IFA_F_TENTATIVE`.
const TENTATIVE: u8 = 0x40;
/// How often ports are looked at until they forward, and how long they are left alone in between: two seconds altogether.
pub const LOOKS: usize = 400;
const BETWEEN: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// A checked [`BridgedInterface`].
#[derive(Debug, Clone)]
pub struct Bridged {
    bridge: String,
    host_interface: String,
    interface: String,
    addresses: Vec<(IpAddr, u8)>,
    mac: [u8; 6],
    host_mac: [u8; 6],
    mtu: u32,
    isolated: bool,
}

impl Bridged {
    /// Parses names and addresses.
    ///
    /// # Errors
    /// `InvalidArgument`, with the text that is not an address, a hardware address or an interface name.
    pub fn checked(wire: &BridgedInterface) -> Result<Self> {
        for name in [&wire.bridge, &wire.host_interface, &wire.interface] {
            if !is_interface_name(name) {
                return Err(refused("check interface", name, "not an interface name"));
            }
        }
        let addresses = wire.addresses.iter().map(|text| prefixed(text)).collect::<Result<Vec<_>>>()?;
        if let [(a, _), (b, _)] = addresses.as_slice()
            && a.is_ipv4() != b.is_ipv4()
        {
        } else if addresses.len() != 1 {
            return Err(refused("check addresses of", &wire.interface, "not one, nor one of each family"));
        }
        Ok(Self {
            bridge: wire.bridge.clone(),
            host_interface: wire.host_interface.clone(),
            interface: wire.interface.clone(),
            addresses,
            mac: hardware_address(&wire.mac)?,
            host_mac: hardware_address(&wire.host_mac)?,
            mtu: wire.mtu,
            isolated: wire.isolated,
        })
    }

    /// The name of the host's end.
    pub fn host_interface(&self) -> &str {
        &self.host_interface
    }

    /// Creates the pair, both ends down, unless the pod has the interface. Returns whether it did.
    ///
    /// - Shapes: `node` is in the node's namespace, `inside` in the pod's, which is `netns`.
    ///
    /// # Errors
    /// `AlreadyExists` when the pod has another interface of that name; the kernel's error, with the name of the host end.
    pub fn create(&self, node: &mut Route, inside: &mut Route, netns: BorrowedFd<'_>) -> Result<bool> {
        if let Some(link) = find(inside, &self.interface)? {
            if link.hardware() == Some(&self.mac) && find(node, &self.host_interface)?.is_some() {
                return Ok(false);
            }
            let why = "the pod has another interface of that name";
            return Err(failure::refused(Kind::AlreadyExists, "create interface", &self.interface, why));
        }
        // Left by a pod's set-up that was cut off: its other end is not in this pod.
        delete(node, &self.host_interface)?;
        let pair = Pair {
            interface: &self.interface,
            host_interface: &self.host_interface,
            mac: Some(self.mac),
            host_mac: self.host_mac,
            mtu: self.mtu,
            group: GROUP,
        };
        create(node, &pair, netns)?;
        Ok(true)
    }

    /// Makes the host end a port of the bridge, and brings it up. It has no addresses of its own.
    ///
    /// - Shapes: the process and `node` are in the node's namespace.
    ///
    /// # Errors
    /// The kernel's error, with the interface or setting that it refused; `NotFound` without the bridge.
    pub fn plug(&self, node: &mut Route, sys: &ProcSys) -> Result<()> {
        ipv6_settings::of_host_end(sys, &self.host_interface, false)?;
        let index = |name: &str| {
            name_to_index(node.fd(), name).map_err(|errno| failure::kernel("look up interface", name, errno))
        };
        let (bridge, port) = (index(&self.bridge)?, index(&self.host_interface)?);
        let mut requests = vec![self.port(port, vec![LinkAttribute::Controller(bridge)], "attach bridge port")];
        let settings = vec![InfoBridgePort::Isolated(self.isolated)];
        let settings = LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(settings)),
        ]);
        // Before it is up: no frame may get past the isolation.
        requests.push(self.port(port, vec![settings], "set up bridge port"));
        requests.push(set_up(port, &self.host_interface));
        node.run(&requests)
    }

    fn port(&self, index: u32, attributes: Vec<LinkAttribute>, step: &'static str) -> Request {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.attributes = attributes;
        Request::new(libc::RTM_NEWLINK, 0, &message, step, &self.host_interface)
    }

    /// Gives the pod's end its addresses and brings it up.
    ///
    /// - Shapes: the process and `inside` are in the pod's namespace.
    ///
    /// # Errors
    /// The kernel's error, with the interface, address or setting that it refused.
    pub fn configure(&self, inside: &mut Route, sys: &ProcSys) -> Result<()> {
        ipv6_settings::of_pod(sys, &self.interface, self.addresses.iter().any(|(ip, _)| ip.is_ipv6()))?;
        ipv6_settings::announce_changes(sys, &self.interface)?;
        let index = self.index_inside(inside)?;
        let mut requests: Vec<Request> =
            self.addresses.iter().map(|(ip, prefix)| address(index, *ip, *prefix)).collect();
        requests.push(set_up(index, &self.interface));
        inside.run(&requests)
    }

    /// Waits until the port forwards frames and the pod answers for its addresses, for at most `looks`, which it uses up, and then has the kernel tell all members the hardware
    /// address (gratuitous ARP, unsolicited neighbour advertisement): somebody else may have had the IP address before.
    ///
    /// # Errors
    /// The kernel's error. One that is not ready in time is not an error: somebody may have taken the bridge down.
    pub fn announce(&self, node: &mut Route, inside: &mut Route, looks: &mut usize) -> Result<()> {
        let index = self.index_inside(inside)?;
        while *looks > 0 && !(self.forwards(node)? && has_settled(inside, index)?) {
            *looks -= 1;
            let _ = rustix::thread::nanosleep(&BETWEEN);
        }
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.attributes = vec![LinkAttribute::Address(self.mac.to_vec())];
        inside.run(&[Request::new(libc::RTM_NEWLINK, 0, &message, "announce interface", &self.interface)])
    }

    fn forwards(&self, node: &mut Route) -> Result<bool> {
        Ok(find(node, &self.host_interface)?.is_some_and(|link| link.forwards()))
    }

    fn index_inside(&self, inside: &Route) -> Result<u32> {
        name_to_index(inside.fd(), &self.interface)
            .map_err(|errno| failure::kernel("look up interface", &self.interface, errno))
    }
}

/// Whether all addresses of an interface are in use. Without duplicate address detection, too, the kernel takes an IPv6
/// address into use a moment after the carrier is there, and answers nobody who asks for it before.
fn has_settled(inside: &mut Route, index: u32) -> Result<bool> {
    let mut settled = true;
    let everything = AddressMessage::default();
    let dump = Request::new(libc::RTM_GETADDR, libc::NLM_F_DUMP as u16, &everything, "list", "addresses");
    // Byte 2 has the flags, bytes 4 to 7 are the interface.
    inside.ask(dump, |body| {
        let tentative = body.get(2).is_some_and(|flags| flags & TENTATIVE != 0);
        settled &= !(tentative && word(body, 4) == Some(index));
    })?;
    Ok(settled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> BridgedInterface {
        BridgedInterface {
            bridge: "gn-0123456789a".into(),
            host_interface: "gu0123456789abc".into(),
            interface: "eth0".into(),
            addresses: vec!["10.128.0.2/24".into(), "fd00:1::2/64".into()],
            mac: vec![2, 0x67, 10, 128, 0, 2],
            host_mac: vec![2, 1, 1, 1, 1, 1],
            mtu: 1500,
            isolated: false,
        }
    }

    #[test]
    fn a_request_is_refused_with_what_is_wrong_in_it() {
        assert!(Bridged::checked(&wire()).is_ok());
        type Row = (fn(&mut BridgedInterface), &'static str);
        let rows: [Row; 6] = [
            (|wire| wire.bridge = "a/b".into(), "a/b"),
            (|wire| wire.interface = String::new(), ""),
            (|wire| wire.addresses = vec!["10.0.0.1/24".into(), "10.0.0.2/24".into()], "eth0"),
            (|wire| wire.addresses.clear(), "eth0"),
            (|wire| wire.addresses[0] = "10.0.0.1".into(), "10.0.0.1"),
            (|wire| wire.mac = vec![1, 0, 0, 0, 0, 0], "[01, 00, 00, 00, 00, 00]"),
        ];
        for (change, object) in rows {
            let mut wire = wire();
            change(&mut wire);
            let failure = Bridged::checked(&wire).unwrap_err();
            assert_eq!((failure.kind(), failure.object.as_str()), (Kind::InvalidArgument, object));
        }
    }
}
