// SPDX-License-Identifier: Apache-2.0
//! What the kernel lost of bridge and host ends. Pure but for [`Kernel::read`].

use crate::error::NetworkError;
use crate::host_ends::{HOST_END, Home, is_routed};
use crate::netlink::{Link, Route, Rtnl};
use ipnet::IpNet;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};

/// What the kernel has.
#[derive(Debug)]
pub struct Kernel {
    links: HashMap<String, Link>,
    addresses: HashSet<(u32, IpAddr)>,
    routes: HashSet<(IpNet, u32, IpAddr)>,
    /// The IPv6 addresses for which the node answers on the bridge.
    pub answered: BTreeSet<Ipv6Addr>,
}

/// What it should have.
#[derive(Debug)]
pub struct Wanted {
    /// Index of the bridge.
    pub bridge: u32,
    /// Name of the bridge.
    pub name: String,
    /// Its addresses.
    pub gateways: Vec<IpNet>,
    /// The host ends of all pods, those that are being made or removed included.
    pub homes: Vec<Home>,
}

impl Kernel {
    /// Reads all interfaces, addresses and routes, and for whom the node answers on the bridge. Blocking.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`].
    pub fn read(rtnl: &mut Rtnl, bridge: u32) -> Result<Self, NetworkError> {
        let (links, addresses, routes) = (rtnl.links()?, rtnl.addresses()?, rtnl.routes()?);
        let answered = rtnl.answered_for(bridge)?.into_iter().collect();
        Ok(Self { answered, ..Self::of(links, &addresses, &routes) })
    }

    fn of(links: Vec<Link>, addresses: &[(u32, IpNet)], routes: &[Route]) -> Self {
        let main = routes.iter().filter(|route| route.is_main);
        Self {
            links: links.into_iter().map(|link| (link.name.clone(), link)).collect(),
            addresses: addresses.iter().map(|(index, net)| (*index, net.addr())).collect(),
            routes: main.filter_map(|route| Some((route.to, route.via?, route.source?))).collect(),
            answered: BTreeSet::new(),
        }
    }

    /// Whether pods of an earlier daemon are ports of the bridge.
    pub fn has_ports(&self, bridge: u32) -> bool {
        self.links.values().any(|link| link.is_port_of(Some(bridge)))
    }
}

impl Wanted {
    /// Everything that is missing, in words and in one order.
    pub fn lost(&self, kernel: &Kernel) -> Vec<String> {
        let mut lost = Vec::new();
        if kernel.links.get(&self.name).is_some_and(|link| !link.is_up) {
            lost.push(format!("bridge {} is down", self.name));
        }
        let gone = self.gateways.iter().filter(|net| !kernel.addresses.contains(&(self.bridge, net.addr())));
        lost.extend(gone.map(|net| format!("bridge {} has no address {net}", self.name)));
        for (home, link) in self.routed(kernel) {
            lost.extend(home.ips.iter().filter_map(|ip| self.lost_of(kernel, link, *ip)));
        }
        lost.sort();
        lost
    }

    fn lost_of(&self, kernel: &Kernel, link: &Link, ip: IpAddr) -> Option<String> {
        let source = self.gateways.iter().map(IpNet::addr).find(|gateway| gateway.is_ipv4() == ip.is_ipv4())?;
        if !kernel.routes.contains(&(IpNet::from(ip), link.index, source)) {
            return Some(format!("there is no route to pod {ip} from {source} on {}", link.name));
        }
        let nameless = ip.is_ipv6() && !kernel.addresses.contains(&(link.index, HOST_END.into()));
        nameless.then(|| format!("interface {} has no address {HOST_END}", link.name))
    }

    /// The IPv6 addresses for which the node should answer on the bridge: those of pods that are not its ports, and only
    /// while there are ports that could ask. A pod that is still being made counts.
    pub fn answered(&self, kernel: &Kernel) -> BTreeSet<Ipv6Addr> {
        let is_port = |home: &&Home| kernel.links.get(&home.interface).is_some_and(|l| l.is_port_of(Some(self.bridge)));
        let asked = self.homes.iter().filter(|home| kernel.has_ports(self.bridge) && !is_port(home));
        let ips = asked.flat_map(|home| &home.ips);
        ips.filter_map(|ip| if let IpAddr::V6(ip) = ip { Some(*ip) } else { None }).collect()
    }

    /// The host ends that are up; the shim is not done with another one, or somebody wants it to be down.
    fn routed<'a>(&'a self, kernel: &'a Kernel) -> impl Iterator<Item = (&'a Home, &'a Link)> {
        let link = |home: &'a Home| Some((home, kernel.links.get(&home.interface)?));
        self.homes.iter().filter_map(link).filter(|(_, link)| link.is_up && is_routed(link, &self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    fn link(index: u32, name: &str, is_up: bool) -> Link {
        let hardware = names::hardware_address("gorae0").to_vec();
        Link {
            index,
            is_bridge: index == 5,
            controller: None,
            mtu: 1500,
            is_up,
            name: name.into(),
            hardware,
            alias: String::new(),
        }
    }

    fn wanted() -> Wanted {
        let ips = ["10.64.0.2", "fd00:64::2"].map(|ip| ip.parse().expect("address")).to_vec();
        let gateways = ["10.64.0.1/20", "fd00:64::1/64"].map(|net| net.parse().expect("net")).to_vec();
        Wanted { bridge: 5, name: "gorae0".into(), gateways, homes: vec![Home { interface: "gp1".into(), ips }] }
    }

    fn route(to: &str, via: u32, source: &str) -> Route {
        let (to, source) = (to.parse().expect("net"), source.parse().ok());
        Route { to, via: Some(via), source, is_main: true, metric: 0 }
    }

    fn kernel(up: [bool; 2], addresses: &[(u32, &str)], routes: &[Route]) -> Kernel {
        let links = vec![link(5, "gorae0", up[0]), link(6, "gp1", up[1])];
        let addresses: Vec<(u32, IpNet)> = addresses.iter().map(|(i, net)| (*i, net.parse().expect("net"))).collect();
        Kernel::of(links, &addresses, routes)
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        let addresses = [(5, "10.64.0.1/20"), (5, "fd00:64::1/64"), (6, "fe80::1/128")];
        let routes = [route("10.64.0.2/32", 6, "10.64.0.1"), route("fd00:64::2/128", 6, "fd00:64::1")];
        let lost = |up, addresses: &[_], routes: &[_]| wanted().lost(&kernel(up, addresses, routes));
        let whole = [""; 0];
        assert_eq!(lost([true, true], &addresses, &routes), whole);
        assert_eq!(lost([true, false], &addresses, &[]), whole, "a host end that is down is not ours to repair");
        assert_eq!(lost([false, true], &addresses, &routes), ["bridge gorae0 is down"]);
        assert_eq!(lost([true, true], &addresses[1..], &routes), ["bridge gorae0 has no address 10.64.0.1/20"]);
        assert_eq!(lost([true, true], &addresses[..2], &routes), ["interface gp1 has no address fe80::1"]);
        let no_route = ["there is no route to pod 10.64.0.2 from 10.64.0.1 on gp1"];
        assert_eq!(lost([true, true], &addresses, &routes[1..]), no_route);
        let elsewhere = [route("10.64.0.2/32", 7, "10.64.0.1"), routes[1].clone()];
        assert_eq!(lost([true, true], &addresses, &elsewhere), no_route);
        let other_table = [Route { is_main: false, ..routes[0].clone() }, routes[1].clone()];
        assert_eq!(lost([true, true], &addresses, &other_table), no_route);
    }
}
