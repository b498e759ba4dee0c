// SPDX-License-Identifier: Apache-2.0
//! The few rtnetlink requests that a bridge needs, each one message and its reply, in the caller's network namespace.
//!
//! Blocking: the kernel replies at once unless its routing lock is busy (removing an interface holds it for tens of
//! milliseconds), so async callers use a blocking task. Only this file uses the types of the netlink crates.

use crate::error::NetworkError;
use gorae_kernel::netlink::{self, Answer};
use gorae_kernel::netlink_socket::{Family, NetlinkSocket};
use ipnet::IpNet;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NetlinkDeserializable, NetlinkHeader, NetlinkSerializable,
};
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    BridgeStpState, InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// How long the kernel may take for one reply.
const DEADLINE: Duration = Duration::from_secs(10);

/// The properties of an interface that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Index.
    pub index: u32,
    /// Whether it is a bridge.
    pub is_bridge: bool,
    /// Index of the bridge it is a port of.
    pub controller: Option<u32>,
    /// Largest packet in bytes.
    pub mtu: u32,
}

/// The properties of a route that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its destination; prefix length 0 is the default route.
    pub to: IpNet,
    /// Index of the interface it uses.
    pub via: Option<u32>,
}

/// An open route socket.
#[derive(Debug)]
pub struct Rtnl {
    socket: NetlinkSocket,
    sequence: u32,
}

impl Rtnl {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`].
    pub fn open() -> Result<Self, NetworkError> {
        let socket = NetlinkSocket::open(Family::Route, DEADLINE);
        let socket =
            socket.map_err(|source| NetworkError::Netlink { what: "open", object: "route socket".into(), source })?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Lists every address of the node, with its subnet's prefix length and its interface's index.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`] when the kernel refuses the request or does not answer in time.
    pub fn addresses(&mut self) -> Result<Vec<(u32, IpNet)>, NetworkError> {
        let found = self.dump("list addresses", Message::GetAddress(AddressMessage::default()))?;
        Ok(found.iter().filter_map(|m| if let Message::NewAddress(a) = m { address(a) } else { None }).collect())
    }

    /// Lists every unicast route of every table.
    ///
    /// # Errors
    /// As [`Rtnl::addresses`].
    pub fn routes(&mut self) -> Result<Vec<Route>, NetworkError> {
        let found = self.dump("list routes", Message::GetRoute(RouteMessage::default()))?;
        Ok(found.iter().filter_map(|m| if let Message::NewRoute(r) = m { route(r) } else { None }).collect())
    }

    /// Finds the interface of this name.
    ///
    /// # Errors
    /// As [`Rtnl::addresses`]. An interface that does not exist is `None`.
    pub fn link(&mut self, name: &str) -> Result<Option<Link>, NetworkError> {
        let mut request = LinkMessage::default();
        request.attributes.push(LinkAttribute::IfName(name.into()));
        self.get_link(name, request)
    }

    /// Finds the interface of this index.
    ///
    /// # Errors
    /// As [`Rtnl::link`].
    pub fn link_at(&mut self, index: u32) -> Result<Option<Link>, NetworkError> {
        let mut request = LinkMessage::default();
        request.header.index = index;
        self.get_link(&format!("interface {index}"), request)
    }

    /// Lists the names of a bridge's ports.
    ///
    /// # Errors
    /// As [`Rtnl::addresses`].
    pub fn ports(&mut self, bridge: u32) -> Result<Vec<String>, NetworkError> {
        let name = |message: &LinkMessage| {
            message
                .attributes
                .iter()
                .find_map(|a| if let LinkAttribute::IfName(name) = a { Some(name.clone()) } else { None })
        };
        let found = self.dump("list interfaces", Message::GetLink(LinkMessage::default()))?;
        let links = found.iter().filter_map(|m| if let Message::NewLink(l) = m { Some(l) } else { None });
        Ok(links.filter(|l| link(l).controller == Some(bridge)).filter_map(name).collect())
    }

    fn get_link(&mut self, object: &str, request: LinkMessage) -> Result<Option<Link>, NetworkError> {
        match self.exchange(Message::GetLink(request), 0) {
            Ok(answers) => {
                Ok(answers.iter().find_map(|m| if let Message::NewLink(l) = m { Some(link(l)) } else { None }))
            }
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(source) => Err(NetworkError::Netlink { what: "look up", object: object.into(), source }),
        }
    }

    /// Creates a bridge, in the state "down". It runs no spanning tree and does no multicast snooping, so it needs no
    /// timers.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`] when the kernel refuses, with `EEXIST` if any interface has the name.
    pub fn create_bridge(&mut self, name: &str, hardware: [u8; 6], mtu: u32) -> Result<(), NetworkError> {
        let mut request = LinkMessage::default();
        let settings = vec![InfoBridge::StpState(BridgeStpState::Disabled), InfoBridge::MulticastSnooping(false)];
        request.attributes = vec![
            LinkAttribute::IfName(name.into()),
            LinkAttribute::Address(hardware.to_vec()),
            LinkAttribute::Mtu(mtu),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(InfoData::Bridge(settings))]),
        ];
        self.acked("create bridge", name, Message::NewLink(request), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Brings an interface up and sets its MTU.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`] when the kernel refuses, with `ENODEV` if the interface is gone.
    pub fn set_up(&mut self, name: &str, index: u32, mtu: u32) -> Result<(), NetworkError> {
        let mut request = LinkMessage::default();
        request.header.index = index;
        request.header.flags = LinkFlags::Up;
        request.header.change_mask = LinkFlags::Up;
        request.attributes.push(LinkAttribute::Mtu(mtu));
        self.acked("bring up", name, Message::NewLink(request), 0)
    }

    /// Makes an interface a port of a bridge, if it is not one yet. The port may send a pod's packets back to that pod.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`] when either interface is gone, or the first cannot be a port.
    pub fn make_port(&mut self, name: &str, bridge: u32) -> Result<(), NetworkError> {
        let mut request = LinkMessage::default();
        request.attributes = vec![LinkAttribute::IfName(name.into()), LinkAttribute::Controller(bridge)];
        self.acked("attach bridge port", name, Message::NewLink(request), 0)?;
        self.set_hairpin(name)
    }

    /// Lets a bridge port send packets back out where they came in, for a pod that calls its own host port or service.
    fn set_hairpin(&mut self, name: &str) -> Result<(), NetworkError> {
        let mut request = LinkMessage::default();
        let port = vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::HairpinMode(true)])),
        ];
        request.attributes = vec![LinkAttribute::IfName(name.into()), LinkAttribute::LinkInfo(port)];
        self.acked("allow hairpin on", name, Message::NewLink(request), 0)
    }

    /// Adds an address to an interface, unless it already has it.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`] when the kernel refuses, with `ENODEV` if the interface is gone.
    pub fn add_address(&mut self, name: &str, index: u32, address: IpNet) -> Result<(), NetworkError> {
        let mut request = address_message(index, address);
        if let IpNet::V4(net) = address {
            request.attributes.push(AddressAttribute::Broadcast(net.broadcast()));
        }
        match self.exchange(Message::NewAddress(request), NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK) {
            Ok(_) => Ok(()),
            Err(e) if e.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            Err(source) => {
                Err(NetworkError::Netlink { what: "add address", object: format!("{address} to {name}"), source })
            }
        }
    }

    /// Removes an interface, unless it is already gone.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`] when the kernel refuses. Not every kind of interface can be removed.
    pub fn delete_link(&mut self, name: &str) -> Result<(), NetworkError> {
        let Some(link) = self.link(name)? else { return Ok(()) };
        let mut request = LinkMessage::default();
        request.header.index = link.index;
        match self.exchange(Message::DelLink(request), NLM_F_ACK) {
            Ok(_) => Ok(()),
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            Err(source) => Err(NetworkError::Netlink { what: "remove interface", object: name.into(), source }),
        }
    }

    fn acked(&mut self, what: &'static str, object: &str, message: Message, flags: u16) -> Result<(), NetworkError> {
        self.exchange(message, flags | NLM_F_ACK).map(drop).map_err(|source| NetworkError::Netlink {
            what,
            object: object.into(),
            source,
        })
    }

    fn dump(&mut self, what: &'static str, message: Message) -> Result<Vec<Message>, NetworkError> {
        self.exchange(message, NLM_F_DUMP).map_err(|source| NetworkError::Netlink {
            what,
            object: "of the node".into(),
            source,
        })
    }

    /// Sends one request and reads replies up to the last: an acknowledgement, an error, the end of a dump, or the
    /// single reply.
    fn exchange(&mut self, message: Message, flags: u16) -> io::Result<Vec<Message>> {
        self.sequence += 1;
        let mut body = vec![0; message.buffer_len()];
        NetlinkSerializable::serialize(&message, &mut body);
        let mut bytes = Vec::new();
        netlink::push_message(&mut bytes, message.message_type(), netlink::REQUEST | flags, self.sequence, &body);
        self.socket.send(&bytes)?;
        let ends_with_answer = flags & (NLM_F_ACK | NLM_F_DUMP) == 0;
        let mut answers = Vec::new();
        while !self.receive(&mut answers)? {
            if ends_with_answer && !answers.is_empty() {
                break;
            }
        }
        Ok(answers)
    }

    /// Reads one datagram; true when the exchange is over. Messages that the crate cannot parse (a newer kernel's) are
    /// skipped.
    fn receive(&mut self, answers: &mut Vec<Message>) -> io::Result<bool> {
        let datagram = self.socket.receive()?;
        for answer in netlink::answers(&datagram).filter(|answer| answer.sequence == self.sequence) {
            match answer.end() {
                Some(0) => return Ok(true),
                Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
                None => answers.extend(parse(&answer)),
            }
        }
        Ok(false)
    }
}

fn parse(answer: &Answer<'_>) -> Option<Message> {
    let mut header = NetlinkHeader::default();
    header.message_type = answer.kind;
    Message::deserialize(&header, answer.body).ok()
}

fn link(message: &LinkMessage) -> Link {
    let mut link = Link { index: message.header.index, is_bridge: false, controller: None, mtu: 0 };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Controller(index) => link.controller = Some(*index),
            LinkAttribute::LinkInfo(info) => link.is_bridge = info.contains(&LinkInfo::Kind(InfoKind::Bridge)),
            _ => {}
        }
    }
    link
}

fn address(message: &AddressMessage) -> Option<(u32, IpNet)> {
    let find = |local: bool| {
        message.attributes.iter().find_map(|a| match a {
            AddressAttribute::Local(ip) if local => Some(*ip),
            AddressAttribute::Address(ip) if !local => Some(*ip),
            _ => None,
        })
    };
    let ip = find(true).or_else(|| find(false))?;
    Some((message.header.index, IpNet::new(ip, message.header.prefix_len).ok()?))
}

fn address_message(index: u32, address: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match address {
        IpNet::V4(_) => netlink_packet_route::AddressFamily::Inet,
        IpNet::V6(_) => netlink_packet_route::AddressFamily::Inet6,
    };
    message.header.prefix_len = address.prefix_len();
    message.header.index = index;
    message.attributes = vec![AddressAttribute::Local(address.addr()), AddressAttribute::Address(address.addr())];
    message
}

fn route(message: &RouteMessage) -> Option<Route> {
    let mut to: IpAddr = match message.header.address_family {
        netlink_packet_route::AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        netlink_packet_route::AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let mut via = None;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(ip)) => to = (*ip).into(),
            RouteAttribute::Destination(RouteAddress::Inet6(ip)) => to = (*ip).into(),
            RouteAttribute::Oif(index) => via = Some(*index),
            _ => {}
        }
    }
    Some(Route { to: IpNet::new(to, message.header.destination_prefix_length).ok()?, via })
}
