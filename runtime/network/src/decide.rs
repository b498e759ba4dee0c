// SPDX-License-Identifier: Apache-2.0
//! Decides on the name and the subnet of this daemon's network. Pure: facts in, [`Record`] out.
//!
//! While pods live, nothing changes: their addresses are valid only in the subnet they were allocated from. Otherwise
//! the configuration wins over kubelet's pod CIDR, the CIDR over the earlier choice, and the earlier choice over a new
//! one.

use crate::config::NetworkConfig;
use crate::error::NetworkError;
use crate::record::{Origin, Record};
use crate::subnets::{Families, Family, Subnets};
use crate::{names, subnet};
use ipnet::{IpNet, Ipv4Net};
use std::path::Path;

/// The facts that the decision depends on.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The daemon's root directory.
    pub root: &'a Path,
    /// Its configuration.
    pub config: &'a NetworkConfig,
    /// The record of an earlier start.
    pub earlier: Option<&'a Record>,
    /// Whether pods have addresses in the recorded network.
    pub pods_live: bool,
    /// The node's addresses and routes, without those of the earlier bridge.
    pub taken: &'a [IpNet],
}

/// Decides on name and subnets. `is_free` checks that no interface has a given name yet.
///
/// # Errors
/// [`NetworkError::NoFreeSubnet`]; [`NetworkError::Config`] for a family without a subnet; whatever `is_free` reports.
pub fn decide(
    facts: &Facts<'_>,
    is_free: impl FnMut(&str) -> Result<bool, NetworkError>,
) -> Result<Record, NetworkError> {
    if let Some(earlier) = facts.earlier.filter(|_| facts.pods_live) {
        return Ok(earlier.clone());
    }
    let bridge = match (&facts.config.bridge, facts.earlier) {
        (Some(bridge), _) => bridge.clone(),
        (None, Some(earlier)) => earlier.bridge.clone(),
        (None, None) => free_name(facts.root, is_free)?,
    };
    let (subnets, origin) = subnets(facts)?;
    Ok(Record { table: names::table(&bridge), bridge, subnets, origin, wanted: None })
}

/// What kubelet's pod CIDR means with this configuration. A family may be missing that pods must have.
pub fn of_pod_cidr(config: &NetworkConfig, cidr: Subnets) -> Subnets {
    let v6 = config.subnet6.or(cidr.v6);
    let families = config.families.unwrap_or(Subnets { v6, ..cidr }.families());
    Subnets::new(cidr.v4.filter(|_| families.has_v4()), v6.filter(|_| families.has_v6()), families.first())
}

fn subnets(facts: &Facts<'_>) -> Result<(Subnets, Origin), NetworkError> {
    let (given, origin) = given(facts);
    let families = facts.config.families.unwrap_or_else(|| match origin {
        Origin::PodCidr => given.families(),
        _ if given.v6.is_none() => Families::V4,
        _ if given.v4.is_none() && has_only_ipv6(facts.taken) => Families::V6,
        _ => Families::V4First,
    });
    let v4 = match given.v4 {
        _ if !families.has_v4() => None,
        Some(net) => Some(net),
        None => Some(kept_or_chosen(facts)?),
    };
    if families.has_v6() && given.v6.is_none() {
        let why = "needs an IPv6 subnet: set network.subnet6";
        return Err(NetworkError::Config { key: "families", value: "ipv6".into(), why });
    }
    Ok((Subnets::new(v4, given.v6.filter(|_| families.has_v6()), families.first()), origin))
}

/// What is configured, or is kubelet's pod CIDR. Without an IPv4 subnet, one may have to be chosen.
fn given(facts: &Facts<'_>) -> (Subnets, Origin) {
    let Facts { config, earlier, .. } = facts;
    let configured = Subnets::new(config.subnet, config.subnet6, Family::V4);
    if config.subnet.is_some() {
        return (configured, Origin::Configured);
    }
    let of_kubelet = earlier.and_then(|record| match record.origin {
        Origin::PodCidr => record.wanted.or(Some(record.subnets)),
        _ => record.wanted,
    });
    of_kubelet.map_or((configured, Origin::Chosen), |cidr| (of_pod_cidr(config, cidr), Origin::PodCidr))
}

/// The earlier choice, if nothing took it meanwhile.
fn kept_or_chosen(facts: &Facts<'_>) -> Result<Ipv4Net, NetworkError> {
    let chosen = facts.earlier.filter(|record| record.origin == Origin::Chosen).and_then(|record| record.subnets.v4);
    match chosen.filter(|net| !subnet::is_taken(net, facts.taken)) {
        Some(net) => Ok(net),
        None => subnet::choose(facts.taken),
    }
}

/// Whether the node reaches the world over IPv6 and not over IPv4: an IPv4 address would lead a pod nowhere.
fn has_only_ipv6(taken: &[IpNet]) -> bool {
    let mut defaults = taken.iter().filter(|net| net.prefix_len() == 0).peekable();
    defaults.peek().is_some() && defaults.all(|net| matches!(net, IpNet::V6(_)))
}

/// The derived name, or the next one when an interface already has it: two roots may have the same short hash.
fn free_name(root: &Path, mut is_free: impl FnMut(&str) -> Result<bool, NetworkError>) -> Result<String, NetworkError> {
    for salt in 0..8 {
        let name = names::bridge(root, salt);
        if is_free(&name)? {
            return Ok(name);
        }
    }
    Ok(names::bridge(root, 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One subnet, or two with a comma; the first is that of a pod's first address.
    fn nets(text: &str) -> Subnets {
        let all: Vec<IpNet> = text.split(',').map(|net| net.parse().expect("net")).collect();
        let v4 = all.iter().find_map(|net| if let IpNet::V4(net) = net { Some(*net) } else { None });
        let v6 = all.iter().find_map(|net| if let IpNet::V6(net) = net { Some(*net) } else { None });
        Subnets::new(v4, v6, if matches!(all[0], IpNet::V4(_)) { Family::V4 } else { Family::V6 })
    }

    fn record(subnet: &str, origin: Origin) -> Record {
        let (bridge, table) = ("gorae-000001".into(), "gorae-000001".into());
        Record { bridge, table, subnets: nets(subnet), origin, wanted: None }
    }

    fn decided(config: &NetworkConfig, earlier: Option<&Record>, pods_live: bool, taken: &[&str]) -> Record {
        let taken: Vec<IpNet> = taken.iter().map(|net| net.parse().expect("net")).collect();
        let facts = Facts { root: Path::new("/r"), config, earlier, pods_live, taken: &taken };
        decide(&facts, |_| Ok(true)).expect("decided")
    }

    #[test]
    fn without_configuration_the_first_start_chooses_and_later_ones_keep_it() {
        let config = NetworkConfig::default();
        let first = decided(&config, None, false, &["192.0.2.0/24"]);
        assert_eq!((first.subnets.text().as_str(), first.origin), ("10.64.0.0/20", Origin::Chosen));
        assert_eq!(decided(&config, Some(&first), false, &["10.65.0.0/16"]), first);
    }

    #[test]
    fn a_chosen_subnet_that_something_else_took_is_chosen_anew_unless_pods_live_in_it() {
        let config = NetworkConfig::default();
        let earlier = record("10.64.0.0/20", Origin::Chosen);
        assert_eq!(decided(&config, Some(&earlier), false, &["10.64.0.1/20"]).subnets.text(), "10.64.16.0/20");
        assert_eq!(decided(&config, Some(&earlier), true, &["10.64.0.1/20"]), earlier);
    }

    #[test]
    fn configuration_wins_over_the_pod_cidr_and_that_over_a_choice() {
        let earlier = record("10.244.3.0/24", Origin::PodCidr);
        // A cluster route that covers the node's own range is normal.
        assert_eq!(decided(&NetworkConfig::default(), Some(&earlier), false, &["10.244.0.0/16"]), earlier);
        let config = NetworkConfig { subnet: Some("10.9.0.7/16".parse().expect("net")), ..Default::default() };
        let configured = decided(&config, Some(&earlier), false, &[]);
        assert_eq!((configured.subnets.text().as_str(), configured.origin), ("10.9.0.0/16", Origin::Configured));
        let no_more = decided(&NetworkConfig::default(), Some(&configured), false, &[]);
        assert_eq!(no_more.subnets.text(), "10.64.0.0/20");
    }

    #[test]
    fn a_pod_cidr_that_waits_is_taken_as_soon_as_no_pod_lives_in_another_one() {
        let wanted = Some(nets("10.244.3.0/24"));
        let earlier = Record { wanted, ..record("10.64.0.0/20", Origin::Chosen) };
        assert_eq!(decided(&NetworkConfig::default(), Some(&earlier), true, &[]), earlier);
        let then = decided(&NetworkConfig::default(), Some(&earlier), false, &[]);
        assert_eq!(then, record("10.244.3.0/24", Origin::PodCidr));
        let config = NetworkConfig { subnet: Some("10.9.0.0/16".parse().expect("net")), ..Default::default() };
        assert_eq!(decided(&config, Some(&earlier), false, &[]), record("10.9.0.0/16", Origin::Configured));
    }

    #[test]
    fn a_name_that_an_interface_has_is_passed_over() {
        let config = NetworkConfig::default();
        let facts = Facts { root: Path::new("/r"), config: &config, earlier: None, pods_live: false, taken: &[] };
        let first = names::bridge(Path::new("/r"), 0);
        let record = decide(&facts, |name| Ok(name != first)).expect("decided");
        assert_eq!(record.bridge, names::bridge(Path::new("/r"), 1));
    }

    #[test]
    fn families_and_their_order_are_those_of_the_configuration_the_cidr_or_the_node() {
        let subnet6 = "fd00:9::/64".parse().ok();
        let (none, six) = (NetworkConfig::default(), NetworkConfig { subnet6, ..Default::default() });
        let with = |families| NetworkConfig { families: Some(families), ..six.clone() };
        let cidr = |text| Record { wanted: Some(nets(text)), ..record("10.64.0.0/20", Origin::Chosen) };
        let rows: [(&NetworkConfig, Option<Record>, &[&str], &str); 12] = [
            (&none, None, &["::/0"], "10.64.0.0/20"),
            (&six, None, &["0.0.0.0/0", "::/0"], "10.64.0.0/20,fd00:9::/64"),
            (&six, None, &[], "10.64.0.0/20,fd00:9::/64"),
            (&six, None, &["::/0"], "fd00:9::/64"),
            (&with(Families::V6), None, &["0.0.0.0/0"], "fd00:9::/64"),
            (&with(Families::V6First), None, &["::/0"], "fd00:9::/64,10.64.0.0/20"),
            (&none, Some(cidr("fd00:3::/64")), &[], "fd00:3::/64"),
            (&none, Some(cidr("fd00:3::/64,10.244.3.0/24")), &[], "fd00:3::/64,10.244.3.0/24"),
            (&none, Some(cidr("10.244.3.0/24,fd00:3::/64")), &["::/0"], "10.244.3.0/24,fd00:3::/64"),
            (&six, Some(cidr("10.244.3.0/24")), &[], "10.244.3.0/24,fd00:9::/64"),
            (&with(Families::V6First), Some(cidr("10.244.3.0/24,fd00:3::/64")), &[], "fd00:9::/64,10.244.3.0/24"),
            (&with(Families::V6), Some(cidr("10.244.3.0/24")), &[], "fd00:9::/64"),
        ];
        for (config, earlier, taken, expected) in rows {
            let first = decided(config, earlier.as_ref(), false, taken);
            assert_eq!(first.subnets.text(), expected, "{config:?} {earlier:?}");
            assert_eq!(decided(config, Some(&first), false, taken), first, "and so at the next start");
        }
        let config = NetworkConfig { families: Some(Families::V6), ..Default::default() };
        let facts = Facts { root: Path::new("/r"), config: &config, earlier: None, pods_live: false, taken: &[] };
        let error = decide(&facts, |_| Ok(true)).expect_err("no subnet").to_string();
        assert!(error.contains("network.families") && error.contains("network.subnet6"), "{error}");
    }
}
