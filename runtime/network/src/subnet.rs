// SPDX-License-Identifier: Apache-2.0
//! Chooses a subnet that nothing on this node uses. Pure: the caller supplies the node's addresses and routes.

use crate::error::NetworkError;
use ipnet::{IpNet, Ipv4Net};
use std::net::Ipv4Addr;

/// Where subnets are chosen from when none is configured, in this order. 10.96.0.0/12 is left out on purpose: most
/// clusters use it for services, and no route of the node shows that.
const POOLS: [(Ipv4Addr, u8); 3] =
    [(Ipv4Addr::new(10, 64, 0, 0), 11), (Ipv4Addr::new(172, 24, 0, 0), 13), (Ipv4Addr::new(192, 168, 128, 0), 17)];
/// 4,094 addresses for each node.
const PREFIX: u8 = 20;

/// Finds the first candidate that overlaps none of `taken`. Default routes (prefix length 0) do not count.
///
/// # Errors
/// [`NetworkError::NoFreeSubnet`].
pub fn choose(taken: &[IpNet]) -> Result<Ipv4Net, NetworkError> {
    let taken: Vec<Ipv4Net> = taken
        .iter()
        .filter_map(|net| match net {
            IpNet::V4(net) if net.prefix_len() > 0 => Some(*net),
            _ => None,
        })
        .collect();
    let mut tried = 0;
    candidates()
        .inspect(|_| tried += 1)
        .find(|candidate| !taken.iter().any(|net| overlap(net, candidate)))
        .ok_or(NetworkError::NoFreeSubnet { tried })
}

/// Whether `subnet` overlaps one of `taken`, default routes aside.
pub fn is_taken(subnet: &Ipv4Net, taken: &[IpNet]) -> bool {
    taken.iter().any(|net| matches!(net, IpNet::V4(net) if net.prefix_len() > 0 && overlap(net, subnet)))
}

fn candidates() -> impl Iterator<Item = Ipv4Net> {
    POOLS.into_iter().flat_map(|(start, prefix)| {
        let step = 1u32 << (32 - PREFIX);
        let count = 1u32 << (PREFIX - prefix);
        (0..count).map(move |i| Ipv4Net::new_assert(Ipv4Addr::from(u32::from(start) + i * step), PREFIX))
    })
}

fn overlap(a: &Ipv4Net, b: &Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(text: &[&str]) -> Vec<IpNet> {
        text.iter().map(|net| net.parse().expect("net")).collect()
    }

    #[test]
    fn the_first_subnet_that_nothing_overlaps_is_chosen() {
        for (taken, chosen) in [
            (&["192.0.2.0/24", "fd00::/8", "0.0.0.0/0"][..], "10.64.0.0/20"),
            (&["10.64.0.1/20"], "10.64.16.0/20"),
            (&["10.64.0.0/16"], "10.65.0.0/20"),
            (&["10.64.15.255/32", "10.64.16.0/24"], "10.64.32.0/20"),
            (&["10.0.0.0/8"], "172.24.0.0/20"),
            (&["10.0.0.0/8", "172.16.0.0/12"], "192.168.128.0/20"),
        ] {
            assert_eq!(choose(&nets(taken)).expect("free").to_string(), chosen, "{taken:?}");
        }
    }

    #[test]
    fn a_node_that_routes_everything_private_gets_an_error_with_the_remedy() {
        let error = choose(&nets(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"])).expect_err("none").to_string();
        assert!(error.contains("648 candidates") && error.contains("network.subnet"), "{error}");
    }

    #[test]
    fn the_usual_service_network_is_never_a_candidate() {
        let services: Ipv4Net = "10.96.0.0/12".parse().expect("net");
        assert!(candidates().all(|net| !overlap(&net, &services)));
    }
}
