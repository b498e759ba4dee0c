// SPDX-License-Identifier: Apache-2.0
//! Decides on the name and the subnet of this daemon's network. Pure: facts in, [`Record`] out.
//!
//! While pods live, nothing changes: their addresses are valid only in the subnet they were allocated from. Otherwise
//! the configuration wins over kubelet's pod CIDR, the CIDR over the earlier choice, and the earlier choice over a new
//! one.

use crate::config::NetworkConfig;
use crate::error::NetworkError;
use crate::record::{Origin, Record};
use crate::{names, subnet};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
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
/// [`NetworkError::NoFreeSubnet`]; whatever `is_free` reports.
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
    let (subnet, subnet6, origin) = subnets(facts)?;
    Ok(Record {
        table: names::table(&bridge),
        bridge,
        subnet: subnet.trunc(),
        subnet6: subnet6.map(|net| net.trunc()),
        origin,
        wanted: None,
    })
}

fn subnets(facts: &Facts<'_>) -> Result<(Ipv4Net, Option<Ipv6Net>, Origin), NetworkError> {
    let Facts { config, earlier, taken, .. } = facts;
    if let Some(subnet) = config.subnet {
        return Ok((subnet, config.subnet6, Origin::Configured));
    }
    if let Some(wanted) = earlier.and_then(|record| record.wanted) {
        return Ok((wanted.subnet, config.subnet6.or(wanted.subnet6), Origin::PodCidr));
    }
    match earlier {
        Some(record) if record.origin == Origin::PodCidr => {
            Ok((record.subnet, config.subnet6.or(record.subnet6), Origin::PodCidr))
        }
        Some(record) if record.origin == Origin::Chosen && !subnet::is_taken(&record.subnet, taken) => {
            Ok((record.subnet, config.subnet6, Origin::Chosen))
        }
        _ => Ok((subnet::choose(taken)?, config.subnet6, Origin::Chosen)),
    }
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
    use crate::record::Wanted;

    fn record(subnet: &str, origin: Origin) -> Record {
        let (bridge, table) = ("gorae-000001".into(), "gorae-000001".into());
        Record { bridge, table, subnet: subnet.parse().expect("net"), subnet6: None, origin, wanted: None }
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
        assert_eq!((first.subnet.to_string().as_str(), first.origin), ("10.64.0.0/20", Origin::Chosen));
        assert_eq!(decided(&config, Some(&first), false, &["10.65.0.0/16"]), first);
    }

    #[test]
    fn a_chosen_subnet_that_something_else_took_is_chosen_anew_unless_pods_live_in_it() {
        let config = NetworkConfig::default();
        let earlier = record("10.64.0.0/20", Origin::Chosen);
        assert_eq!(decided(&config, Some(&earlier), false, &["10.64.0.1/20"]).subnet.to_string(), "10.64.16.0/20");
        assert_eq!(decided(&config, Some(&earlier), true, &["10.64.0.1/20"]), earlier);
    }

    #[test]
    fn configuration_wins_over_the_pod_cidr_and_that_over_a_choice() {
        let earlier = record("10.244.3.0/24", Origin::PodCidr);
        // A cluster route that covers the node's own range is normal.
        assert_eq!(decided(&NetworkConfig::default(), Some(&earlier), false, &["10.244.0.0/16"]), earlier);
        let config = NetworkConfig { subnet: Some("10.9.0.7/16".parse().expect("net")), ..Default::default() };
        let configured = decided(&config, Some(&earlier), false, &[]);
        assert_eq!((configured.subnet.to_string().as_str(), configured.origin), ("10.9.0.0/16", Origin::Configured));
        let no_more = decided(&NetworkConfig::default(), Some(&configured), false, &[]);
        assert_eq!(no_more.subnet.to_string(), "10.64.0.0/20");
    }

    #[test]
    fn a_pod_cidr_that_waits_is_taken_as_soon_as_no_pod_lives_in_another_one() {
        let wanted = Some(Wanted { subnet: "10.244.3.0/24".parse().expect("net"), subnet6: None });
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
}
