// SPDX-License-Identifier: Apache-2.0
//! The default routes of a pod in networks that people made: replaced when its networks change.

use super::messages::default_route_inside;
use super::netlink::{Request, Route};
use super::plan::refused;
use crate::failure::Result;
use gorae_kernel::netlink::{attribute, word};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::RouteMessage;
use rustix::io::Errno;
use std::net::IpAddr;

/// Length of `struct rtmsg`, which precedes a route's attributes.
const ROUTE_HEADER: usize = 12;
const MAIN_TABLE: u8 = libc::RT_TABLE_MAIN;
/// Flags to put a route back whatever is there.
const REPLACE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;

/// Where everything goes that no other route takes: one address of a family at most.
#[derive(Debug, Clone)]
pub struct Gateways(Vec<IpAddr>);

impl Gateways {
    /// Parses the addresses.
    ///
    /// # Errors
    /// `InvalidArgument`, with a text that is not an address, or one more of a family.
    pub fn checked(texts: &[String]) -> Result<Self> {
        let mut all: Vec<IpAddr> = Vec::new();
        for text in texts {
            let ip: IpAddr = text.parse().map_err(|_| refused("check gateway", text, "not an address"))?;
            if all.iter().any(|other| other.is_ipv4() == ip.is_ipv4()) {
                return Err(refused("check gateway", text, "a second one of its family"));
            }
            all.push(ip);
        }
        Ok(Self(all))
    }

    /// Makes these the default routes of the main table, and removes all others. If that fails, the earlier ones are put
    /// back.
    ///
    /// - Shapes: `inside` is in the pod's namespace, and the interfaces of the gateways are up.
    ///
    /// # Errors
    /// The kernel's error, with the gateway.
    pub fn set(&self, inside: &mut Route) -> Result<()> {
        let before = of_pod(inside)?;
        let done = self.replace(inside, &before);
        if done.is_err() {
            // The first failure is the one to report.
            let _ = put_back(inside, &before);
        }
        done
    }

    fn replace(&self, inside: &mut Route, before: &[DefaultRoute]) -> Result<()> {
        let wanted: Vec<Request> = self.0.iter().map(|gateway| default_route_inside(*gateway)).collect();
        inside.run(&wanted)?;
        for route in before.iter().filter(|route| !route.gateway().is_some_and(|ip| self.0.contains(&ip))) {
            match inside.run(&[route.request(libc::RTM_DELROUTE, 0, "remove default route")]) {
                // The new one has taken its place.
                Err(failure) if failure.errno == Errno::SRCH.raw_os_error() => {}
                other => other?,
            }
        }
        Ok(())
    }
}

/// Puts routes back that were removed or replaced.
///
/// # Errors
/// The kernel's error. The other routes are put back all the same.
pub fn put_back(inside: &mut Route, before: &[DefaultRoute]) -> Result<()> {
    let requests: Vec<Request> =
        before.iter().map(|route| route.request(libc::RTM_NEWROUTE, REPLACE, "put back default route")).collect();
    inside.run(&requests)
}

/// A default route of the main table, as the kernel describes it.
#[derive(Debug, Clone)]
pub struct DefaultRoute(Vec<u8>);

impl DefaultRoute {
    /// `None` for a route to something else.
    fn read(body: &[u8]) -> Option<Self> {
        let [_family, length, _, _, table, _, _, kind, ..] = body else { return None };
        (*length == 0 && *table == MAIN_TABLE && *kind == libc::RTN_UNICAST).then(|| Self(body.to_vec()))
    }

    fn gateway(&self) -> Option<IpAddr> {
        let bytes = attribute(self.0.get(ROUTE_HEADER..)?, libc::RTA_GATEWAY)?;
        let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
        v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
    }

    fn request(&self, kind: u16, flags: u16, step: &'static str) -> Request {
        let via = self.gateway().map_or_else(
            || {
                let index = self.0.get(ROUTE_HEADER..).and_then(|all| word(attribute(all, libc::RTA_OIF)?, 0));
                format!("of interface {}", index.unwrap_or_default())
            },
            |ip| format!("via {ip}"),
        );
        Request::raw(kind, flags, self.0.clone(), step, via)
    }
}

/// Lists the default routes of both families.
///
/// # Errors
/// The kernel's error.
pub fn of_pod(inside: &mut Route) -> Result<Vec<DefaultRoute>> {
    let mut found = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut message = RouteMessage::default();
        message.header.address_family = family;
        let dump = Request::new(libc::RTM_GETROUTE, libc::NLM_F_DUMP as u16, &message, "list", "routes");
        inside.ask(dump, |body| found.extend(DefaultRoute::read(body)))?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_family_one_gateway_is_enough() {
        let checked = |texts: &[&str]| Gateways::checked(&texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(checked(&[]).is_ok() && checked(&["10.0.0.1", "fd00::1"]).is_ok());
        for (texts, object) in [(&["10.0.0.1", "10.0.1.1"][..], "10.0.1.1"), (&["eth0"], "eth0")] {
            assert_eq!(checked(texts).unwrap_err().object, object);
        }
    }

    #[test]
    fn only_a_default_route_of_the_main_table_is_read() {
        let body = |length, table, kind| vec![2, length, 0, 0, table, 3, 0, kind, 0, 0, 0, 0];
        assert!(DefaultRoute::read(&body(0, 254, 1)).is_some());
        for (length, table, kind) in [(24, 254, 1), (0, 255, 1), (0, 254, 7)] {
            assert!(DefaultRoute::read(&body(length, table, kind)).is_none());
        }
    }
}
