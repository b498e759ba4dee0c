// SPDX-License-Identifier: Apache-2.0
//! The veth pair: created with one end in the bridge and the other in the pod's namespace, and removed again.

use super::addresses::Network;
use super::link::up_header;
use super::netlink::{CREATE, Request, Route};
use crate::failure::{self, Kind, Result};
use gorae_kernel::netlink::{attribute, word};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute, LinkExtentMask, LinkInfo,
    LinkMessage,
};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState};
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Length of `struct ifinfomsg`, which precedes a link's attributes.
const LINK_HEADER: usize = 16;

/// Creates the pair, with the host end up and the pod's end down.
///
/// - Shapes: `route` is in the bridge's namespace; `netns` is the pod's.
///
/// # Errors
/// `NotFound` if the bridge does not exist; otherwise the kernel's error, with the name of the host end.
pub fn create(route: &mut Route, network: &Network, netns: BorrowedFd<'_>) -> Result<()> {
    let (bridge, bridge_mtu) = find(route, &network.bridge)?
        .ok_or_else(|| failure::refused(Kind::NotFound, "look up bridge", &network.bridge, "no such interface"))?
        .index_and_mtu();
    let mtu = LinkAttribute::Mtu(if network.mtu == 0 { bridge_mtu } else { network.mtu });
    // The peer cannot be created up, because its other end does not exist yet at that moment.
    let mut peer = LinkMessage::default();
    peer.attributes =
        vec![LinkAttribute::IfName(network.interface.clone()), LinkAttribute::NetNsFd(netns.as_raw_fd()), mtu.clone()];
    peer.attributes.extend(network.mac().map(LinkAttribute::Address));
    let mut host = LinkMessage::default();
    host.header = up_header(0);
    host.attributes = vec![
        LinkAttribute::IfName(network.host_interface.clone()),
        LinkAttribute::Controller(bridge),
        mtu,
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ];
    let object = format!("{} in bridge {}", network.host_interface, network.bridge);
    route.run(&[Request::new(libc::RTM_NEWLINK, CREATE, &host, "create veth", object)])?;
    settle_port(route, network)
}

/// Registers the MAC address behind the new port with the bridge, and turns learning off.
///
/// The next pod may get an address while the last one's port still exists, and both pods then have the MAC address that
/// is derived from it. A learning bridge would send the new pod's packets to the old port, at first and again after each
/// packet from there. Fixed entries also keep a pod from stealing another's packets. In hairpin mode, packets that a pod
/// sends to an address of its own (a service that it backs, its own host port) return through the same port.
fn settle_port(route: &mut Route, network: &Network) -> Result<()> {
    let name = &network.host_interface;
    let Some(mac) = network.mac() else { return Ok(()) };
    let index = name_to_index(route.fd(), name).map_err(|errno| failure::kernel("look up interface", name, errno))?;
    let port = vec![InfoBridgePort::Learning(false), InfoBridgePort::HairpinMode(true)];
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.attributes = vec![LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(port)),
    ])];
    let mut entry = NeighbourMessage::default();
    entry.header.family = AddressFamily::Bridge;
    entry.header.ifindex = index;
    entry.header.state = NeighbourState::Noarp;
    entry.header.flags = NeighbourFlags::Controller;
    entry.attributes = vec![NeighbourAttribute::LinkLayerAddress(mac)];
    let replace = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
    route.run(&[
        Request::new(libc::RTM_NEWLINK, 0, &link, "set up bridge port", name),
        Request::new(libc::RTM_NEWNEIGH, replace, &entry, "add forwarding entry for", name),
    ])
}

/// Removes an interface with its peer, which takes the kernel about 25 ms. It is not an error if it is already gone.
///
/// # Errors
/// The kernel's error, with the interface.
pub fn delete(route: &mut Route, name: &str) -> Result<()> {
    let Ok(index) = name_to_index(route.fd(), name) else { return Ok(()) };
    let mut message = LinkMessage::default();
    message.header.index = index;
    match route.run(&[Request::new(libc::RTM_DELLINK, 0, &message, "delete interface", name)]) {
        Err(failure) if failure.errno == Errno::NODEV.raw_os_error() => Ok(()),
        other => other,
    }
}

/// Whether the kernel is about to remove a host interface by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The interface does not exist.
    NoInterface,
    /// The peer's namespace has no users left: the kernel will soon remove both ends.
    Ending,
    /// Something still uses the peer's namespace.
    InUse,
}

/// Looks up the state of the namespace that the other end of `name` is in.
///
/// # Errors
/// The kernel's error, with the interface.
pub fn peer_of(route: &mut Route, name: &str) -> Result<Peer> {
    let Some(link) = find(route, name)? else { return Ok(Peer::NoInterface) };
    let Some(id) = link.peer_namespace() else { return Ok(Peer::InUse) };
    let mut message = NsidMessage::default();
    message.header.family = AddressFamily::Unspec;
    // The attribute numbers of this request are those of `NETNSA_*`; 1 queries by id.
    message.attributes = vec![NsidAttribute::Id(id)];
    match route.ask(Request::new(libc::RTM_GETNSID, 0, &message, "look up namespace of", name), |_| {}) {
        Ok(()) => Ok(Peer::InUse),
        Err(failure) if failure.errno == Errno::NOENT.raw_os_error() => Ok(Peer::Ending),
        Err(failure) => Err(failure),
    }
}

/// The kernel's description of one interface.
struct Link(Vec<u8>);

impl Link {
    fn attribute(&self, kind: u16) -> Option<u32> {
        word(attribute(self.0.get(LINK_HEADER..)?, kind)?, 0)
    }

    fn index_and_mtu(&self) -> (u32, u32) {
        (word(&self.0, 4).unwrap_or(0), self.attribute(libc::IFLA_MTU).unwrap_or(1500))
    }

    fn peer_namespace(&self) -> Option<i32> {
        self.attribute(libc::IFLA_LINK_NETNSID).map(|id| id as i32)
    }
}

fn find(route: &mut Route, name: &str) -> Result<Option<Link>> {
    let mut message = LinkMessage::default();
    message.attributes =
        vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])];
    let mut found = None;
    let request = Request::new(libc::RTM_GETLINK, 0, &message, "look up interface", name);
    match route.ask(request, |body| found = Some(Link(body.to_vec()))) {
        Ok(()) => Ok(found),
        Err(failure) if failure.errno == Errno::NODEV.raw_os_error() => Ok(None),
        Err(failure) => Err(failure),
    }
}
