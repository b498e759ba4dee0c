// SPDX-License-Identifier: Apache-2.0
//! The host end: its settings, and the node's routes to the pod.
//!
//! It is a router's interface with one neighbour. The node routes the pod's addresses here and nothing else, so no other
//! pod can get their packets, and the kernel drops packets from the pod with any other source (`rp_filter`; the daemon's
//! packet filter does so too, also for IPv6).

use super::ipv6_settings;
use super::link::set_up;
use super::messages::{address, host_route, neighbour};
use super::netlink::{Request, Route};
use super::plan::Network;
use crate::failure::{self, Result};
use crate::proc_sys::ProcSys;
use gorae_kernel::netlink::{attribute_of, push_attribute};
use netlink_packet_core::DefaultNla;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use rustix::net::netdevice::name_to_index;

// Attributes of a link's settings, and the IPv4 ones that we set (`IPV4_DEVCONF_*` in linux/ip.h).
const IFLA_INET_CONF: u16 = 1;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const FORWARDING: u16 = 1;
const ACCEPT_REDIRECTS: u16 = 4;
const SEND_REDIRECTS: u16 = 6;
const RP_FILTER: u16 = 8;
const ACCEPT_SOURCE_ROUTE: u16 = 9;
const ROUTE_LOCALNET: u16 = 26;

/// `IN6_ADDR_GEN_MODE_NONE`: no link-local address made from the hardware address.
const NO_ADDRESS: u8 = 1;
/// Prefix length of the host end's link-local address. With the usual 64, each host end would have a route to fe80::/64,
/// and the kernel walks through all routes to one prefix to add another.
const ALONE: u8 = 128;

/// Brings the host end up and routes the pod's addresses to it.
///
/// - Shapes: the process and `route` are in the node's network namespace, where the pair already exists.
///
/// # Errors
/// The kernel's error, with the interface, address or setting that it refused.
pub fn connect(route: &mut Route, sys: &ProcSys, network: &Network) -> Result<()> {
    let name = &network.host_interface;
    ipv6_settings::of_host_end(sys, name, network.has_ipv6())?;
    let index = name_to_index(route.fd(), name).map_err(|errno| failure::kernel("look up interface", name, errno))?;
    let mut requests = vec![settings(index, network), set_up(index, name)];
    for leg in &network.legs {
        // Every host end has the same link-local address; the kernel answers for any IPv4 address of the node.
        if leg.gateway.is_ipv6() {
            requests.push(address(index, leg.gateway, ALONE));
        }
        requests.push(host_route(index, leg.address, leg.source));
        requests.extend(network.mac().map(|mac| neighbour(index, leg.address, mac)));
    }
    route.run(&requests)
}

/// One message instead of a file for each setting.
fn settings(index: u32, network: &Network) -> Request {
    let mut ipv4 = Vec::new();
    for (setting, value) in [
        (FORWARDING, 1),
        (ACCEPT_REDIRECTS, 0),
        (SEND_REDIRECTS, 0),
        (RP_FILTER, 1),
        (ACCEPT_SOURCE_ROUTE, 0),
        // The daemon switches it on for host ports, behind a rule that guards it.
        (ROUTE_LOCALNET, 0),
    ] {
        push_attribute(&mut ipv4, setting, &u32::to_ne_bytes(value));
    }
    let mut families = attribute_of(libc::AF_INET as u16, &attribute_of(IFLA_INET_CONF, &ipv4));
    if network.has_ipv6() {
        families.extend(attribute_of(libc::AF_INET6 as u16, &attribute_of(IFLA_INET6_ADDR_GEN_MODE, &[NO_ADDRESS])));
    }
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = vec![LinkAttribute::Other(DefaultNla::new(libc::IFLA_AF_SPEC, families))];
    Request::new(libc::RTM_NEWLINK, 0, &message, "set up interface", &network.host_interface)
}
