// SPDX-License-Identifier: Apache-2.0
//! Tracks which host numbers of the subnet are in use. Memory only: it is rebuilt at start from the pod records.
//!
//! Numbers are allocated in ascending order and wrap around, so a released address is reused as late as possible. By
//! then, neighbour caches, connection tracking and clients have forgotten it.
//!
//! An address is `network + number`. Number 0 is the network, 1 the gateway, and the last one (broadcast) is never
//! allocated. With two families a pod has the same number in both.

use crate::error::NetworkError;
#[cfg(test)]
use crate::subnets::Family;
use crate::subnets::Subnets;
use ipnet::IpNet;
#[cfg(test)]
use ipnet::{Ipv4Net, Ipv6Net};
use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The gateway's number.
const GATEWAY: u32 = 1;
/// The most addresses that are allocated, however large the subnet is.
const MAX_NUMBERS: u32 = 1 << 20;

/// The addresses of the pods of this node.
#[derive(Debug)]
pub struct Addresses {
    subnets: Subnets,
    taken: BTreeSet<u32>,
    last: u32,
}

impl Addresses {
    /// Starts with every address free.
    ///
    /// # Errors
    /// [`NetworkError::SubnetTooSmall`] when there is no room for a gateway and one pod.
    pub fn within(subnets: Subnets) -> Result<Self, NetworkError> {
        let too_small = |net: &IpNet| host_bits(net) < 2;
        if let Some(subnet) = subnets.in_order().into_iter().find(too_small) {
            return Err(NetworkError::SubnetTooSmall { subnet });
        }
        Ok(Self { subnets, taken: BTreeSet::new(), last: GATEWAY })
    }

    /// The same for an IPv4 subnet, with an IPv6 one after it.
    #[cfg(test)]
    pub fn new(v4: Ipv4Net, v6: Option<Ipv6Net>) -> Result<Self, NetworkError> {
        Self::within(Subnets::new(Some(v4), v6, Family::V4))
    }

    /// Goes on from a random number. After a start nobody knows which addresses were released last; the numbers of live
    /// pods only show which were not.
    pub fn go_on_anywhere(&mut self) {
        let (first, end) = (GATEWAY + 1, self.end());
        let random = RandomState::new().hash_one(end);
        self.last = GATEWAY + u32::try_from(random % u64::from(end - first)).unwrap_or(0);
    }

    /// Takes the next free number.
    ///
    /// # Errors
    /// [`NetworkError::AddressesExhausted`] with both counts.
    pub fn take(&mut self) -> Result<u32, NetworkError> {
        let (first, end) = (GATEWAY + 1, self.end());
        let free = (self.last + 1..end).chain(first..end).find(|number| !self.taken.contains(number));
        let number = free.ok_or(NetworkError::AddressesExhausted {
            subnet: self.smallest(),
            usable: u64::from(end - first),
            used: self.taken.len() as u64,
        })?;
        self.taken.insert(number);
        self.last = number;
        Ok(number)
    }

    /// Takes the number of an address that a live pod already has; `None` when it is outside this subnet or in use.
    pub fn take_back(&mut self, ip: IpAddr) -> Option<u32> {
        let number = match (ip, self.subnets.v4, self.subnets.v6) {
            (IpAddr::V4(ip), Some(net), _) if net.contains(&ip) => u32::from(ip) - u32::from(net.network()),
            (IpAddr::V6(ip), _, Some(net)) if net.contains(&ip) => {
                u32::try_from(u128::from(ip) - u128::from(net.network())).ok()?
            }
            _ => return None,
        };
        if !(GATEWAY + 1..self.end()).contains(&number) || !self.taken.insert(number) {
            return None;
        }
        self.last = self.last.max(number);
        Some(number)
    }

    /// Frees a number.
    pub fn give(&mut self, number: u32) {
        self.taken.remove(&number);
    }

    /// The addresses of a number with the prefix length of their subnet, in the order of a pod's addresses.
    pub fn of(&self, number: u32) -> Vec<IpNet> {
        let address = |net: IpNet| match net {
            IpNet::V4(net) => IpAddr::from(Ipv4Addr::from(u32::from(net.network()) + number)),
            IpNet::V6(net) => IpAddr::from(Ipv6Addr::from(u128::from(net.network()) + u128::from(number))),
        };
        self.subnets.in_order().into_iter().map(|net| IpNet::new_assert(address(net), net.prefix_len())).collect()
    }

    /// The gateway of each family, in the same order: the bridge's addresses.
    pub fn gateways(&self) -> Vec<IpNet> {
        self.of(GATEWAY)
    }

    /// One past the last number that can be allocated.
    fn end(&self) -> u32 {
        let ends = self.subnets.in_order().into_iter().map(|net| (1u32 << host_bits(&net).min(31)) - 1);
        ends.min().unwrap_or(0).min(MAX_NUMBERS)
    }

    /// The subnet that limits how many pods there can be.
    fn smallest(&self) -> IpNet {
        let nets = self.subnets.in_order().into_iter();
        nets.min_by_key(host_bits).unwrap_or_else(|| IpNet::new_assert(Ipv4Addr::UNSPECIFIED.into(), 32))
    }
}

fn host_bits(net: &IpNet) -> u8 {
    net.max_prefix_len() - net.prefix_len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Addresses {
        Addresses::new("10.64.0.0/29".parse().expect("net"), None).expect("large enough")
    }

    #[test]
    fn a_released_address_is_the_last_to_be_given_again() {
        let mut addresses = small();
        let (a, b) = (addresses.take().expect("free"), addresses.take().expect("free"));
        assert_eq!((a, b), (2, 3));
        addresses.give(a);
        assert_eq!([(); 4].map(|()| addresses.take().expect("free")), [4, 5, 6, 2]);
    }

    #[test]
    fn after_a_start_the_next_address_is_rarely_the_one_after_the_highest() {
        let next = || {
            let mut addresses = Addresses::new("10.64.0.0/20".parse().expect("net"), None).expect("large enough");
            addresses.take_back("10.64.0.9".parse().expect("ip")).expect("free");
            addresses.go_on_anywhere();
            addresses.take().expect("free")
        };
        let all: BTreeSet<u32> = (0..50).map(|_| next()).collect();
        assert!(all.len() > 25 && !all.contains(&9), "{all:?}");
        let mut full = small();
        full.go_on_anywhere();
        let all: BTreeSet<u32> = [(); 5].map(|()| full.take().expect("free")).into();
        assert_eq!(all, (2..7).collect(), "none is left out");
    }

    #[test]
    fn exhaustion_says_how_many_of_how_many_are_in_use() {
        let mut addresses = small();
        for _ in 0..5 {
            addresses.take().expect("free");
        }
        let error = addresses.take().expect_err("full").to_string();
        assert_eq!(error, "no free address: 5 of 5 addresses of 10.64.0.0/29 are in use");
        addresses.give(4);
        assert_eq!(addresses.take().expect("free again"), 4);
    }

    #[test]
    fn a_live_pod_keeps_its_address_and_no_other_gets_it() {
        let mut addresses = small();
        assert_eq!(addresses.take_back("10.64.0.3".parse().expect("ip")), Some(3));
        assert_eq!(addresses.take_back("10.64.0.3".parse().expect("ip")), None);
        for strange in ["10.64.0.0", "10.64.0.1", "10.64.0.7", "10.65.0.3", "fd00::3"] {
            assert_eq!(addresses.take_back(strange.parse().expect("ip")), None, "{strange}");
        }
        assert_eq!([(); 4].map(|()| addresses.take().expect("free")), [4, 5, 6, 2]);
        assert!(addresses.take().is_err());
    }

    #[test]
    fn with_two_families_a_pod_has_the_same_number_in_both() {
        let net6 = Some("fd00:64::/64".parse().expect("net"));
        let mut addresses = Addresses::new("10.64.0.0/20".parse().expect("net"), net6).expect("large enough");
        let number = addresses.take().expect("free");
        let text: Vec<String> = addresses.of(number).iter().map(ToString::to_string).collect();
        assert_eq!(text, ["10.64.0.2/20", "fd00:64::2/64"]);
        assert_eq!(addresses.take_back("fd00:64::9".parse().expect("ip")), Some(9));
    }

    #[test]
    fn ipv6_may_be_first_or_alone() {
        let (v4, v6) = ("10.64.0.0/29".parse().expect("net"), "fd00:64::/64".parse().expect("net"));
        for (subnets, expected) in [
            (Subnets::new(Some(v4), Some(v6), Family::V6), &["fd00:64::2/64", "10.64.0.2/29"][..]),
            (Subnets::new(None, Some(v6), Family::V6), &["fd00:64::2/64"]),
        ] {
            let mut addresses = Addresses::within(subnets).expect("large enough");
            let number = addresses.take().expect("free");
            let text: Vec<String> = addresses.of(number).iter().map(ToString::to_string).collect();
            assert_eq!(text, expected);
        }
        let mut both = Addresses::within(Subnets::new(Some(v4), Some(v6), Family::V6)).expect("large enough");
        while both.take().is_ok() {}
        let error = both.take().expect_err("full").to_string();
        assert!(error.contains("5 of 5 addresses of 10.64.0.0/29"), "{error}");
    }

    #[test]
    fn a_subnet_without_room_for_a_pod_is_refused() {
        for net in ["10.0.0.0/31", "10.0.0.0/32"] {
            assert!(Addresses::new(net.parse().expect("net"), None).is_err());
        }
        let mut smallest = Addresses::new("10.0.0.0/30".parse().expect("net"), None).expect("one pod fits");
        assert!(smallest.take().is_ok());
        assert!(smallest.take().is_err());
    }
}
