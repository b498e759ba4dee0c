// SPDX-License-Identifier: Apache-2.0
//! The pod's end: its addresses, its default routes, and the one neighbour that it needs.

use super::ipv6_settings;
use super::link::{LOOPBACK, loopback, set_up};
use super::messages::{address, default_route, neighbour};
use super::netlink::{Request, Route};
use super::plan::Network;
use crate::failure::{self, Result};
use crate::proc_sys::ProcSys;
use gorae_kernel::netlink::word;
use netlink_packet_route::address::AddressMessage;

/// Brings loopback and the pod's interface up, and gives it addresses and default routes.
///
/// - Shapes: the process and `route` are in the pod's network namespace, where the interface already exists.
///
/// # Errors
/// The kernel's error, with the interface, address, gateway or setting that it refused.
pub fn configure(route: &mut Route, sys: &ProcSys, network: &Network) -> Result<()> {
    let Network { interface, legs, host_mac, .. } = network;
    ipv6_settings::of_pod(sys, interface, network.has_ipv6())?;
    let index = rustix::net::netdevice::name_to_index(route.fd(), interface)
        .map_err(|errno| failure::kernel("look up interface", interface, errno))?;
    let mut requests = vec![loopback(), set_up(index, interface)];
    for leg in legs {
        requests.push(address(index, leg.address, leg.prefix));
        requests.push(neighbour(index, leg.gateway, *host_mac));
        requests.push(default_route(index, leg.gateway));
    }
    route.run(&requests)
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
