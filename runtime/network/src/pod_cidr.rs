// SPDX-License-Identifier: Apache-2.0
//! kubelet's pod CIDR (CRI `UpdateRuntimeConfig`) as the pods' subnet.
//!
//! kubelet says it once, and on a node's first boot static pods are there before: their addresses are right only in the
//! subnet that they were given in. The CIDR is recorded then, and taken when the last of them is gone, or by the next
//! start that finds none.

use super::addresses::Addresses;
use super::node::{Shared, State};
use super::record::{self, Origin, Record, Wanted};
use super::{CidrOutcome, NetworkError, Reason, names};
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
        // While it is not known who lives in which subnet nothing may be changed.
        self.catch_up().await?;
        let Some(earlier) = self.state().record.clone() else {
            // No pod has an address before there is a record.
            let bridge = self.config.bridge.clone().unwrap_or_else(|| names::bridge(&self.root, 0));
            self.keep(of_pod_cidr(bridge, subnet, subnet6))?;
            return Ok(CidrOutcome::Adopted);
        };
        if earlier.subnet == subnet && (subnet6.is_none() || earlier.subnet6 == subnet6) {
            if earlier.wanted.is_some() {
                self.keep(Record { wanted: None, ..earlier })?;
            }
            return Ok(CidrOutcome::Unchanged);
        }
        // The old bridge has the old gateway; the next pod makes the new one.
        if self.remove(&mut table).await? {
            self.keep(of_pod_cidr(earlier.bridge, subnet, subnet6))?;
            return Ok(CidrOutcome::Adopted);
        }
        self.keep(Record { wanted: Some(Wanted { subnet, subnet6 }), ..earlier })?;
        self.make_way();
        Ok(CidrOutcome::Waiting)
    }

    fn keep(&self, record: Record) -> Result<(), NetworkError> {
        record::save(&self.root, &record)?;
        self.state().record = Some(record);
        Ok(())
    }

    /// When no pod lives in another subnet than the wanted one: the next pod makes the bridge anew, in that one.
    pub(super) fn make_way(&self) {
        let mut state = self.state();
        if self.waiting(&state).is_some() && state.is_unused() {
            tracing::info!("no pod is left in another subnet; the next one gets an address of kubelet's pod CIDR");
            state.bridge = None;
        }
    }

    /// The CIDR that is wanted while another subnet is used, and that subnet.
    fn waiting(&self, state: &State) -> Option<(Wanted, Ipv4Net)> {
        let record = state.record.as_ref().filter(|_| self.config.subnet.is_none() && state.bridge.is_some())?;
        Some((record.wanted?, record.subnet))
    }

    /// What to tell people while the CIDR waits.
    pub(super) fn waiting_reason(&self) -> Option<Reason> {
        let (Wanted { subnet, subnet6 }, used) = self.waiting(&self.state())?;
        let wanted = subnet6.map_or_else(|| subnet.to_string(), |subnet6| format!("{subnet},{subnet6}"));
        let message = format!("pods live in {used}; kubelet's pod CIDR {wanted} is used when the last of them is gone");
        Some(Reason { reason: "PodCidrWaiting", message })
    }
}

fn of_pod_cidr(bridge: String, subnet: Ipv4Net, subnet6: Option<Ipv6Net>) -> Record {
    Record { table: names::table(&bridge), bridge, subnet, subnet6, origin: Origin::PodCidr, wanted: None }
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
