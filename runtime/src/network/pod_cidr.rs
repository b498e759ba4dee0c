// SPDX-License-Identifier: Apache-2.0
//! kubelet's pod CIDR (CRI `UpdateRuntimeConfig`) as the pods' subnet.

use super::addresses::Addresses;
use super::node::Shared;
use super::record::{self, Origin, Record};
use super::{CidrOutcome, NetworkError, names};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

impl Shared {
    /// See [`super::Network::set_pod_cidr`].
    pub(super) async fn set_pod_cidr(&self, text: &str) -> Result<CidrOutcome, NetworkError> {
        let Some((subnet, subnet6)) = read(text)? else { return Ok(CidrOutcome::Kept("it has no IPv4 part")) };
        if self.config.subnet.is_some() {
            return Ok(CidrOutcome::Kept("network.subnet is configured"));
        }
        Addresses::new(subnet, subnet6)?;
        let mut table = self.table().await?;
        let earlier = self.state().record.clone();
        if earlier.as_ref().is_some_and(|e| e.subnet == subnet && (subnet6.is_none() || e.subnet6 == subnet6)) {
            return Ok(CidrOutcome::Unchanged);
        }
        // The old bridge has the old gateway; the next pod makes the new one.
        if !self.remove(&mut table).await? {
            return Ok(CidrOutcome::Kept("pods live in another subnet"));
        }
        let derived = || self.config.bridge.clone().unwrap_or_else(|| names::bridge(&self.root, 0));
        let bridge = earlier.map_or_else(derived, |earlier| earlier.bridge);
        let record = Record { table: names::table(&bridge), bridge, subnet, subnet6, origin: Origin::PodCidr };
        record::save(&self.root, &record)?;
        self.state().record = Some(record);
        Ok(CidrOutcome::Adopted)
    }
}

/// Reads `"v4"`, `"v6"`, `"v4,v6"` or `"v6,v4"`; `None` without an IPv4 part.
fn read(text: &str) -> Result<Option<(Ipv4Net, Option<Ipv6Net>)>, NetworkError> {
    let bad = |why| NetworkError::Config { key: "pod_cidr", value: text.chars().take(128).collect(), why };
    let (mut v4, mut v6) = (None, None);
    for part in text.split(',').map(str::trim) {
        match part.parse::<IpNet>().map_err(|_| bad("is not ADDRESS/LENGTH, or two of them with a comma"))? {
            IpNet::V4(net) if v4.is_none() => v4 = Some(net.trunc()),
            IpNet::V6(net) if v6.is_none() => v6 = Some(net.trunc()),
            _ => return Err(bad("has two subnets of one family")),
        }
    }
    Ok(v4.map(|v4| (v4, v6)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_two_families_in_any_order_are_read() {
        let net4: Ipv4Net = "10.244.3.0/24".parse().expect("net");
        let net6: Ipv6Net = "fd00:3::/64".parse().expect("net");
        assert_eq!(read("10.244.3.0/24").expect("valid"), Some((net4, None)));
        assert_eq!(read("10.244.3.7/24, fd00:3::/64").expect("valid"), Some((net4, Some(net6))));
        assert_eq!(read("fd00:3::/64,10.244.3.0/24").expect("valid"), Some((net4, Some(net6))));
        assert_eq!(read("fd00:3::/64").expect("valid"), None);
    }

    #[test]
    fn what_is_no_cidr_is_refused_with_the_text() {
        for bad in ["", "10.244.3.0", "10.0.0.0/8,10.1.0.0/16", "x,y", "10.0.0.0/33"] {
            let error = read(bad).expect_err("refused").to_string();
            assert!(error.starts_with(&format!("network.pod_cidr: {bad:?}")), "{error}");
        }
    }
}
