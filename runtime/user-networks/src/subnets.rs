// SPDX-License-Identifier: Apache-2.0
//! The subnets of a new network: those that were given are checked, others are chosen. Pure: the caller says what is taken.

use crate::definition::SubnetWish;
use crate::error::{Error, Result};
use crate::facts::Taken;
use crate::network::Subnet;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where IPv4 subnets are chosen from, in this order.
const POOLS: [(Ipv4Addr, u8); 3] =
    [(Ipv4Addr::new(10, 128, 0, 0), 9), (Ipv4Addr::new(172, 24, 0, 0), 13), (Ipv4Addr::new(192, 168, 0, 0), 16)];
/// 253 pods.
const PREFIX: u8 = 24;
/// What clusters usually use for pods and Services, whether the node has a route to it yet or not.
const CLUSTERS: [(Ipv4Addr, u8); 4] = [
    (Ipv4Addr::new(10, 96, 0, 0), 12),
    (Ipv4Addr::new(10, 244, 0, 0), 16),
    (Ipv4Addr::new(10, 42, 0, 0), 16),
    (Ipv4Addr::new(10, 43, 0, 0), 16),
];
/// The longest prefixes with a gateway and a pod.
const LONGEST: (u8, u8) = (30, 126);
/// How often a random IPv6 subnet is tried. One that is taken would be a wonder.
const DRAWS: usize = 16;

/// Checks a subnet that was given, and fills in what was not.
///
/// # Errors
/// [`Error::Invalid`], with the subnet, range or gateway; [`Error::Overlap`].
pub fn given(wish: &SubnetWish, taken: &[Taken]) -> Result<Subnet> {
    let net = wish.subnet;
    if net != net.trunc() {
        return Err(Error::invalid("subnet", net, format!("has host bits set; its network is {}", net.trunc())));
    }
    let longest = if matches!(net, IpNet::V4(_)) { LONGEST.0 } else { LONGEST.1 };
    if net.prefix_len() > longest {
        return Err(Error::invalid("subnet", net, format!("is too small: /{longest} is the smallest")));
    }
    if net.prefix_len() < 8 || !is_for_pods(net) {
        return Err(Error::invalid("subnet", net, "does not consist of addresses that interfaces can have"));
    }
    let gateway = wish.gateway.unwrap_or_else(|| first(net));
    if !net.contains(&gateway) || is_edge(net, gateway) {
        let why = format!("is not an address that an interface can have in {net}");
        return Err(Error::invalid("gateway", gateway, why));
    }
    if let Some(range) = wish.range {
        check_range(net, range)?;
    }
    match taken.iter().find(|taken| overlap(&taken.net, &net)) {
        Some(taken) => Err(Error::Overlap { subnet: net, with: taken.to_string() }),
        None => Ok(Subnet { subnet: net, range: wish.range, gateway, given: true }),
    }
}

fn check_range(net: IpNet, range: IpNet) -> Result<()> {
    if range != range.trunc() {
        return Err(Error::invalid("range", range, format!("has host bits set; its network is {}", range.trunc())));
    }
    let inside = net.contains(&range.network()) && range.prefix_len() >= net.prefix_len();
    if inside { Ok(()) } else { Err(Error::invalid("range", range, format!("is not inside {net}"))) }
}

/// Chooses an IPv4 subnet: the first candidate that overlaps nothing.
///
/// # Errors
/// [`Error::NoFreeSubnet`].
pub fn choose_v4(taken: &[Taken]) -> Result<Subnet> {
    let mut tried = 0;
    let clusters = CLUSTERS.map(|(at, length)| IpNet::V4(Ipv4Net::new_assert(at, length)));
    let free = |candidate: &IpNet| {
        let others = taken.iter().map(|taken| &taken.net).chain(&clusters);
        others.into_iter().all(|net| !overlap(net, candidate))
    };
    let found = candidates().map(IpNet::V4).inspect(|_| tried += 1).find(free);
    found.map(chosen).ok_or(Error::NoFreeSubnet { tried })
}

/// Chooses an IPv6 subnet: a random one of those that nobody assigns (RFC 4193).
///
/// # Errors
/// [`Error::NoFreeSubnet`]; [`Error::Random`].
pub fn choose_v6(taken: &[Taken], mut random: impl FnMut(&mut [u8]) -> Result<()>) -> Result<Subnet> {
    for _ in 0..DRAWS {
        let mut bytes = [0; 16];
        random(&mut bytes[1..8])?;
        bytes[0] = 0xfd;
        let net = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from(bytes), 64));
        if taken.iter().all(|taken| !overlap(&taken.net, &net)) {
            return Ok(chosen(net));
        }
    }
    Err(Error::NoFreeSubnet { tried: DRAWS })
}

fn chosen(subnet: IpNet) -> Subnet {
    Subnet { subnet, range: None, gateway: first(subnet), given: false }
}

fn candidates() -> impl Iterator<Item = Ipv4Net> {
    POOLS.into_iter().flat_map(|(start, prefix)| {
        let step = 1u32 << (32 - PREFIX);
        (0..1u32 << (PREFIX - prefix)).map(move |n| Ipv4Net::new_assert((u32::from(start) + n * step).into(), PREFIX))
    })
}

/// The first address that an interface can have.
fn first(net: IpNet) -> IpAddr {
    match net.network() {
        IpAddr::V4(ip) => Ipv4Addr::from(u32::from(ip) + 1).into(),
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) + 1).into(),
    }
}

/// Whether it is an address that stands for the network, for all routers or for all interfaces of it.
pub fn is_edge(net: IpNet, ip: IpAddr) -> bool {
    ip == net.network() || (ip.is_ipv4() && ip == net.broadcast())
}

fn is_for_pods(net: IpNet) -> bool {
    let odd = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_multicast() || ip.octets()[0] == 0 || ip.octets()[0] >= 224,
        IpAddr::V6(ip) => ip.is_multicast() || ip.is_unicast_link_local() || ip.segments()[0] == 0,
    };
    !odd(net.network()) && !odd(net.broadcast())
}

/// Whether two subnets have an address in common.
pub fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Holder;

    fn taken(nets: &[&str]) -> Vec<Taken> {
        nets.iter().map(|net| Taken { net: net.parse().expect("net"), by: Holder::Network("db".into()) }).collect()
    }

    fn wish(subnet: &str, range: Option<&str>, gateway: Option<&str>) -> SubnetWish {
        SubnetWish {
            subnet: subnet.parse().expect("net"),
            range: range.map(|net| net.parse().expect("net")),
            gateway: gateway.map(|ip| ip.parse().expect("address")),
        }
    }

    #[test]
    fn the_first_subnet_that_nothing_overlaps_is_chosen_and_clusters_are_left_alone() {
        for (nets, net) in [
            (&[][..], "10.128.0.0/24"),
            (&["10.128.0.7/32", "10.128.1.0/24"], "10.128.2.0/24"),
            (&["10.0.0.0/8"], "172.24.0.0/24"),
            (&["10.0.0.0/8", "172.16.0.0/12"], "192.168.0.0/24"),
            (&["10.128.0.0/10", "10.192.0.0/11", "10.224.0.0/12", "10.240.0.0/14"], "10.245.0.0/24"),
        ] {
            let subnet = choose_v4(&taken(nets)).expect("free");
            assert_eq!(subnet.subnet.to_string(), net, "{nets:?}");
            assert!(!subnet.given && is_first(&subnet));
        }
        let error = choose_v4(&taken(&["0.0.0.0/1", "128.0.0.0/1"])).expect_err("none").to_string();
        assert!(error.contains("35072 candidates") && error.contains("give a subnet"), "{error}");
    }

    fn is_first(subnet: &Subnet) -> bool {
        subnet.gateway.to_string().ends_with(".1")
    }

    #[test]
    fn an_ipv6_subnet_is_a_random_one_that_nobody_assigns() {
        let mut next = 0;
        let random = |bytes: &mut [u8]| {
            next += 1;
            bytes.fill(next);
            Ok(())
        };
        let subnet = choose_v6(&taken(&["fd01:101:101:101::/64"]), random).expect("free");
        assert_eq!(subnet.subnet.to_string(), "fd02:202:202:202::/64");
        assert_eq!(subnet.gateway.to_string(), "fd02:202:202:202::1");
        let error = choose_v6(&taken(&["fd00::/8"]), |_| Ok(())).expect_err("none");
        assert!(matches!(error, Error::NoFreeSubnet { tried: DRAWS }));
    }

    #[test]
    fn a_subnet_that_is_given_is_taken_as_it_is_or_refused_with_the_reason() {
        for (wish, gateway) in [
            (wish("10.7.0.0/16", Some("10.7.3.0/24"), None), "10.7.0.1"),
            (wish("10.7.0.0/30", None, Some("10.7.0.2")), "10.7.0.2"),
            (wish("fd00:7::/126", None, None), "fd00:7::1"),
        ] {
            let subnet = given(&wish, &taken(&["10.8.0.0/16"])).expect("good");
            assert_eq!((subnet.gateway.to_string().as_str(), subnet.given), (gateway, true));
        }
        for (wish, why) in [
            (wish("10.7.0.1/16", None, None), "host bits set; its network is 10.7.0.0/16"),
            (wish("10.7.0.0/31", None, None), "too small"),
            (wish("fd00:7::/127", None, None), "too small"),
            (wish("127.0.0.0/16", None, None), "does not consist"),
            (wish("224.0.0.0/16", None, None), "does not consist"),
            (wish("fe80::/64", None, None), "does not consist"),
            (wish("10.7.0.0/16", Some("10.8.0.0/24"), None), "is not inside 10.7.0.0/16"),
            (wish("10.7.0.0/16", Some("10.7.0.1/24"), None), "host bits"),
            (wish("10.7.0.0/16", Some("10.0.0.0/8"), None), "is not inside"),
            (wish("10.7.0.0/16", Some("fd00::/64"), None), "is not inside"),
            (wish("10.7.0.0/24", None, Some("10.7.1.1")), "can have in 10.7.0.0/24"),
            (wish("10.7.0.0/24", None, Some("10.7.0.0")), "can have in"),
            (wish("10.7.0.0/24", None, Some("10.7.0.255")), "can have in"),
            (wish("10.8.0.0/24", None, None), "subnet 10.8.0.0/24 overlaps 10.8.0.0/16 of network db"),
        ] {
            let error = given(&wish, &taken(&["10.8.0.0/16"])).expect_err(why).to_string();
            assert!(error.contains(why), "{error}: {why}");
        }
    }
}
