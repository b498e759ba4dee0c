// SPDX-License-Identifier: Apache-2.0
//! Interfaces: looked up by name or index, and removed.

use super::socket::Rtnl;
use crate::error::NetworkError;
use netlink_packet_core::NLM_F_ACK;
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage};

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
    /// Whether it is up.
    pub is_up: bool,
    /// Name.
    pub name: String,
    /// Hardware address; empty when it has none.
    pub hardware: Vec<u8>,
    /// What it is for, in words; empty when nobody said so.
    pub alias: String,
}

impl Link {
    /// Whether it is a port of this bridge.
    pub fn is_port_of(&self, bridge: Option<u32>) -> bool {
        self.controller.is_some() && self.controller == bridge
    }
}

impl Rtnl {
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

    fn get_link(&mut self, object: &str, request: LinkMessage) -> Result<Option<Link>, NetworkError> {
        match self.exchange(Message::GetLink(request), 0) {
            Ok(answers) => Ok(found(&answers).next()),
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(source) => Err(NetworkError::Netlink { what: "look up", object: object.into(), source }),
        }
    }

    /// Lists all interfaces.
    ///
    /// # Errors
    /// As [`Rtnl::addresses`].
    pub fn links(&mut self) -> Result<Vec<Link>, NetworkError> {
        let mut request = LinkMessage::default();
        // A node with a thousand pods has a thousand interfaces, and counters are most of what is said about each.
        request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let answers = self.dump("list interfaces", Message::GetLink(request))?;
        Ok(found(&answers).collect())
    }

    /// Says what an interface is for: `ip link` shows it, and [`Link::alias`] has it.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`] when the kernel refuses, with `ENODEV` if the interface is gone.
    pub fn set_alias(&mut self, name: &str, index: u32, alias: &str) -> Result<(), NetworkError> {
        let mut request = LinkMessage::default();
        request.header.index = index;
        request.attributes.push(LinkAttribute::IfAlias(alias.into()));
        self.acked("set alias of", name, Message::NewLink(request), 0)
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
}

fn found(answers: &[Message]) -> impl Iterator<Item = Link> + '_ {
    answers.iter().filter_map(|m| if let Message::NewLink(l) = m { Some(link(l)) } else { None })
}

fn link(message: &LinkMessage) -> Link {
    let index = message.header.index;
    let is_up = message.header.flags.contains(LinkFlags::Up);
    let mut link = Link {
        index,
        is_bridge: false,
        controller: None,
        mtu: 0,
        is_up,
        name: String::new(),
        hardware: Vec::new(),
        alias: String::new(),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Controller(index) => link.controller = Some(*index),
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(hardware) => link.hardware.clone_from(hardware),
            LinkAttribute::IfAlias(alias) => link.alias.clone_from(alias),
            LinkAttribute::LinkInfo(info) => link.is_bridge = info.contains(&LinkInfo::Kind(InfoKind::Bridge)),
            _ => {}
        }
    }
    link
}
