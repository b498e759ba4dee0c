// SPDX-License-Identifier: Apache-2.0
//! The veth pair: created with one end on the node and the other in the pod's namespace, and removed again.

use super::netlink::{CREATE, Request, Route};
use crate::failure::Result;
use gorae_kernel::netlink::{attribute, word};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkExtentMask, LinkInfo, LinkMessage};
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use std::os::fd::{AsRawFd, BorrowedFd};

// linux/if_link.h
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const IFLA_BRPORT_STATE: u16 = 1;
/// Length of `struct ifinfomsg`, which precedes a link's attributes.
const LINK_HEADER: usize = 16;

/// `BR_STATE_FORWARDING`.
const FORWARDING: u8 = 3;

/// The two ends of a pair that is to be made.
#[derive(Debug)]
pub struct Pair<'a> {
    /// Name of the pod's end.
    pub interface: &'a str,
    /// Name of the host end.
    pub host_interface: &'a str,
    /// Hardware address of the pod's end; the kernel's choice if there is none.
    pub mac: Option<[u8; 6]>,
    /// That of the host end.
    pub host_mac: [u8; 6],
    /// Bytes; 0: the kernel's default.
    pub mtu: u32,
    /// The group of the host end: packet filters know host ends by it.
    pub group: u32,
}

/// Creates the pair, both ends down.
///
/// - Shapes: `route` is in the node's namespace; `netns` is the pod's.
///
/// # Errors
/// The kernel's error, with the name of the host end.
pub fn create(route: &mut Route, pair: &Pair<'_>, netns: BorrowedFd<'_>) -> Result<()> {
    let mtu = (pair.mtu != 0).then_some(LinkAttribute::Mtu(pair.mtu));
    let mut peer = LinkMessage::default();
    peer.attributes = vec![LinkAttribute::IfName(pair.interface.to_owned()), LinkAttribute::NetNsFd(netns.as_raw_fd())];
    peer.attributes.extend(pair.mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
    peer.attributes.extend(mtu.clone());
    let mut host = LinkMessage::default();
    // With a hardware address of our choice: udev gives one of its own to an interface that has a random one.
    host.attributes = vec![
        LinkAttribute::IfName(pair.host_interface.to_owned()),
        LinkAttribute::Address(pair.host_mac.to_vec()),
        LinkAttribute::Group(pair.group),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ];
    host.attributes.extend(mtu);
    route.run(&[Request::new(libc::RTM_NEWLINK, CREATE, &host, "create veth", pair.host_interface)])
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
pub(super) struct Link(Vec<u8>);

impl Link {
    fn attribute(&self, kind: u16) -> Option<u32> {
        word(attribute(self.0.get(LINK_HEADER..)?, kind)?, 0)
    }

    /// The hardware address.
    pub(super) fn hardware(&self) -> Option<&[u8; 6]> {
        attribute(self.0.get(LINK_HEADER..)?, libc::IFLA_ADDRESS)?.try_into().ok()
    }

    /// Whether it is a port that forwards frames.
    pub(super) fn forwards(&self) -> bool {
        let state = || {
            let info = attribute(self.0.get(LINK_HEADER..)?, libc::IFLA_LINKINFO)?;
            attribute(attribute(info, IFLA_INFO_SLAVE_DATA)?, IFLA_BRPORT_STATE)?.first()
        };
        state() == Some(&FORWARDING)
    }

    fn peer_namespace(&self) -> Option<i32> {
        self.attribute(libc::IFLA_LINK_NETNSID).map(|id| id as i32)
    }
}

pub(super) fn find(route: &mut Route, name: &str) -> Result<Option<Link>> {
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
