// SPDX-License-Identifier: Apache-2.0
//! Chooses addresses for pods: first the one that a pod of the same name had last, because others may still know it; then
//! those that no pod ever had, in order; then those that were free for the longest time, because others may still take them
//! for an earlier pod. Pure: the caller says what is in use.

use crate::network::Subnet;
use crate::subnets::is_edge;
use ipnet::IpNet;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many released addresses of a subnet are remembered.
const REMEMBERED: usize = 4096;

/// Why there is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// How many addresses pods can have.
    pub usable: u128,
}

/// What is remembered of all subnets, by the subnet.
#[derive(Debug, Default)]
pub struct Pools(HashMap<IpNet, Pool>);

#[derive(Debug, Default)]
struct Pool {
    /// Where the search begins: an address as a number.
    next: u128,
    /// Addresses that pods had.
    released: BTreeMap<u128, Released>,
    /// The next moment.
    now: u64,
}

/// An address that a pod had.
#[derive(Debug)]
struct Released {
    /// The moment.
    since: u64,
    /// The pod's first name.
    name: Option<String>,
}

impl Pools {
    /// Chooses a free address for a pod with this first name.
    ///
    /// # Errors
    /// [`Full`].
    pub fn choose(&self, subnet: &Subnet, used: &HashSet<IpAddr>, name: Option<&String>) -> Result<IpAddr, Full> {
        let none = Pool::default();
        let pool = self.0.get(&subnet.subnet).unwrap_or(&none);
        let range = subnet.range.unwrap_or(subnet.subnet);
        let (first, last) = (number(range.network()), number(range.broadcast()));
        let can_have = |ip: IpAddr| ip != subnet.gateway && !is_edge(subnet.subnet, ip);
        let free = |n: u128| Some(address(n, subnet.is_v4())).filter(|ip| can_have(*ip) && !used.contains(ip));
        let start = if pool.next > last { first } else { pool.next.max(first) };
        // Each step but three meets an address that is used or was released.
        let most = (used.len() + pool.released.len()) as u128 + 4;
        let fresh = (start..=last).chain(first..start).take(usize::try_from(most).unwrap_or(usize::MAX));
        let found = fresh.filter(|n| !pool.released.contains_key(n)).find(|n| free(*n).is_some());
        let released = || pool.released.range(first..=last).filter(|(n, _)| free(**n).is_some());
        let oldest = || released().min_by_key(|(_, was)| was.since).map(|(n, _)| *n);
        let own = released().filter(|(_, was)| name.is_some() && was.name.as_ref() == name);
        let own = own.max_by_key(|(_, was)| was.since).map(|(n, _)| *n);
        let Some(n) = own.or(found).or_else(oldest) else { return Err(Full { usable: usable(subnet, range) }) };
        Ok(address(n, subnet.is_v4()))
    }

    /// Remembers that a pod has an address that was chosen. The next search begins behind it, unless a pod had it before.
    pub fn take(&mut self, subnet: IpNet, ip: IpAddr) {
        let pool = self.0.entry(subnet.trunc()).or_default();
        if pool.released.remove(&number(ip)).is_none() {
            pool.next = number(ip).saturating_add(1);
        }
    }

    /// Remembers that a pod with this first name had an address.
    pub fn release(&mut self, subnet: IpNet, ip: IpAddr, name: Option<&String>) {
        let pool = self.0.entry(subnet.trunc()).or_default();
        pool.now += 1;
        pool.released.insert(number(ip), Released { since: pool.now, name: name.cloned() });
        if pool.released.len() > REMEMBERED
            && let Some(oldest) = pool.released.iter().min_by_key(|(_, was)| was.since).map(|(n, _)| *n)
        {
            pool.released.remove(&oldest);
        }
    }

    /// Begins behind an address that a pod has: the one behind it may have been released just before this start.
    pub fn begin_behind(&mut self, subnet: IpNet, ip: IpAddr) {
        let pool = self.0.entry(subnet.trunc()).or_default();
        pool.next = pool.next.max(number(ip).saturating_add(1));
    }

    /// Forgets a subnet.
    pub fn forget(&mut self, subnet: IpNet) {
        self.0.remove(&subnet);
    }
}

/// How many addresses of a range pods can have.
fn usable(subnet: &Subnet, range: IpNet) -> u128 {
    let all = number(range.broadcast()) - number(range.network());
    let reserved = [subnet.gateway, subnet.subnet.network(), subnet.subnet.broadcast()];
    let reserved: HashSet<IpAddr> = reserved
        .into_iter()
        .filter(|ip| range.contains(ip) && (*ip == subnet.gateway || is_edge(subnet.subnet, *ip)))
        .collect();
    (all + 1) - reserved.len() as u128
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

/// The address of a number that [`number`] made.
fn address(n: u128, v4: bool) -> IpAddr {
    if v4 { Ipv4Addr::from(u32::try_from(n).unwrap_or(u32::MAX)).into() } else { Ipv6Addr::from(n).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(net: &str, range: Option<&str>, gateway: &str) -> Subnet {
        Subnet {
            subnet: net.parse().expect("net"),
            range: range.map(|range| range.parse().expect("net")),
            gateway: gateway.parse().expect("address"),
            given: true,
        }
    }

    /// Takes addresses until there are none.
    fn all(pools: &mut Pools, subnet: &Subnet, used: &mut HashSet<IpAddr>) -> (String, Full) {
        let mut found = Vec::new();
        loop {
            match pools.choose(subnet, used, None) {
                Ok(ip) => {
                    pools.take(subnet.subnet, ip);
                    assert!(used.insert(ip), "{ip} twice");
                    found.push(ip.to_string());
                }
                Err(full) => return (found.join(" "), full),
            }
        }
    }

    #[test]
    fn every_address_is_given_once_except_the_edges_and_the_gateway() {
        for (net, range, gateway, addresses, usable) in [
            ("10.0.0.0/29", None, "10.0.0.1", "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6", 5),
            ("10.0.0.0/30", None, "10.0.0.2", "10.0.0.1", 1),
            ("10.0.0.0/24", Some("10.0.0.8/30"), "10.0.0.1", "10.0.0.8 10.0.0.9 10.0.0.10 10.0.0.11", 4),
            ("10.0.0.0/24", Some("10.0.0.252/30"), "10.0.0.254", "10.0.0.252 10.0.0.253", 2),
            ("10.0.0.0/24", Some("10.0.0.9/32"), "10.0.0.1", "10.0.0.9", 1),
            ("fd00::/126", None, "fd00::1", "fd00::2 fd00::3", 2),
            (
                "255.255.255.248/29",
                None,
                "255.255.255.249",
                "255.255.255.250 255.255.255.251 255.255.255.252 255.255.255.253 255.255.255.254",
                5,
            ),
        ] {
            let found = all(&mut Pools::default(), &subnet(net, range, gateway), &mut HashSet::new());
            assert_eq!(found, (addresses.to_owned(), Full { usable }), "{net} {range:?}");
        }
    }

    #[test]
    fn what_was_released_is_given_last_and_the_longest_free_first() {
        let (subnet, mut pools) = (subnet("10.0.0.0/29", None, "10.0.0.1"), Pools::default());
        let ip = |last| IpAddr::from([10, 0, 0, last]);
        let mut used = HashSet::from([2, 3, 4].map(ip));
        for last in [4, 2] {
            used.remove(&ip(last));
            pools.release(subnet.subnet, ip(last), None);
        }
        assert_eq!(all(&mut pools, &subnet, &mut used).0, "10.0.0.5 10.0.0.6 10.0.0.4 10.0.0.2");
    }

    #[test]
    fn a_pod_gets_the_address_that_the_last_one_of_its_name_had_if_it_is_free() {
        let (subnet, mut pools) = (subnet("10.0.0.0/29", None, "10.0.0.1"), Pools::default());
        let ip = |last| IpAddr::from([10, 0, 0, last]);
        let [db, web] = ["db", "web"].map(str::to_owned);
        for (last, name) in [(2, &db), (3, &web), (4, &db)] {
            pools.take(subnet.subnet, ip(last));
            pools.release(subnet.subnet, ip(last), Some(name));
        }
        let none = HashSet::new();
        assert_eq!(pools.choose(&subnet, &none, Some(&db)).expect("free"), ip(4));
        assert_eq!(pools.choose(&subnet, &[ip(4)].into(), Some(&db)).expect("free"), ip(2));
        for other in [None, Some(&"new".to_owned())] {
            assert_eq!(pools.choose(&subnet, &none, other).expect("free"), ip(5), "nobody else gets it");
        }
        pools.take(subnet.subnet, ip(4));
        assert_eq!(pools.choose(&subnet, &[ip(4)].into(), None).expect("free"), ip(5));
    }

    #[test]
    fn after_a_start_the_search_begins_behind_the_last_address_in_use() {
        let (subnet, mut pools) = (subnet("10.0.0.0/29", None, "10.0.0.1"), Pools::default());
        let ip = |last| IpAddr::from([10, 0, 0, last]);
        pools.begin_behind("10.0.0.4/29".parse().expect("net"), ip(4));
        let mut used = HashSet::from([ip(4)]);
        assert_eq!(all(&mut pools, &subnet, &mut used).0, "10.0.0.5 10.0.0.6 10.0.0.2 10.0.0.3");
    }

    #[test]
    fn a_subnet_of_any_size_is_searched_quickly() {
        let (subnet, mut pools) = (subnet("fd00::/64", None, "fd00::1"), Pools::default());
        let mut used = HashSet::new();
        for _ in 0..3000 {
            let ip = pools.choose(&subnet, &used, None).expect("free");
            pools.take(subnet.subnet, ip);
            used.insert(ip);
            if used.len() > 100 {
                used.remove(&ip);
                pools.release(subnet.subnet, ip, None);
            }
        }
        assert_eq!(pools.choose(&subnet, &used, None).expect("free").to_string(), "fd00::bba");
    }
}
