// SPDX-License-Identifier: Apache-2.0
//! Bridges: created, brought up, and given ports.

use super::socket::Rtnl;
use crate::error::NetworkError;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::link::{
    BridgeStpState, InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage,
};

impl Rtnl {
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

    /// Makes an interface a port of a bridge. Ports that are isolated exchange frames with the node only.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`] when either interface is gone, or the first cannot be a port.
    pub fn plug(&mut self, name: &str, bridge: u32, isolated: bool) -> Result<(), NetworkError> {
        let mut request = LinkMessage::default();
        request.attributes = vec![LinkAttribute::IfName(name.into()), LinkAttribute::Controller(bridge)];
        self.acked("attach bridge port", name, Message::NewLink(request), 0)?;
        self.set_port(name, InfoBridgePort::Isolated(isolated), "set up bridge port")
    }

    /// Lets a bridge port send packets back out where they came in, for a pod that calls its own host port or service.
    fn set_hairpin(&mut self, name: &str) -> Result<(), NetworkError> {
        self.set_port(name, InfoBridgePort::HairpinMode(true), "allow hairpin on")
    }

    fn set_port(&mut self, name: &str, setting: InfoBridgePort, what: &'static str) -> Result<(), NetworkError> {
        let mut request = LinkMessage::default();
        let port =
            vec![LinkInfo::PortKind(InfoPortKind::Bridge), LinkInfo::PortData(InfoPortData::BridgePort(vec![setting]))];
        request.attributes = vec![LinkAttribute::IfName(name.into()), LinkAttribute::LinkInfo(port)];
        self.acked(what, name, Message::NewLink(request), 0)
    }
}
