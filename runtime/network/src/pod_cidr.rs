// SPDX-License-Identifier: Apache-2.0
//! kubelet's pod CIDR (CRI `UpdateRuntimeConfig`) as the pods' subnet.
//!
//! kubelet sends it once. On a node's first boot, static pods start before that, and their addresses are valid only in
//! the subnet they were allocated from. The CIDR is then recorded, and is used once the last of them is gone, or by the
//! next start that finds none.

use crate::addresses::Addresses;
use crate::error::NetworkError;
use crate::making::remove;
use crate::names;
use crate::record::{self, Origin, Record, Wanted};
use crate::state::{Known, State};
use crate::take_over::catch_up;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The result of setting kubelet's pod CIDR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CidrOutcome {
    /// Pods get their addresses from it from now on.
    Adopted,
    /// Pods already use it.
    Unchanged,
    /// Pods live in another subnet; the CIDR is used when the last of them is gone.
    Waiting,
    /// The CIDR is ignored, for this reason.
    Kept(&'static str),
}

/// See [`Network::set_pod_cidr`](crate::Network::set_pod_cidr).
///
/// # Errors
/// [`NetworkError::Config`] when it is not a CIDR; [`NetworkError::Record`] when it cannot be recorded.
pub async fn set(state: &State, text: &str) -> Result<CidrOutcome, NetworkError> {
    let Some((subnet, subnet6)) = read(text)? else { return Ok(CidrOutcome::Kept("it has no IPv4 part")) };
    if state.config.subnet.is_some() {
        return Ok(CidrOutcome::Kept("network.subnet is configured"));
    }
    Addresses::new(subnet, subnet6)?;
    let mut table = state.table().await?;
    // Nothing may change while it is unknown which pods live in which subnet.
    catch_up(state).await?;
    let Some(earlier) = state.known().record.clone() else {
        // No pod has an address before there is a record.
        let bridge = state.config.bridge.clone().unwrap_or_else(|| names::bridge(&state.root, 0));
        keep(state, of_pod_cidr(bridge, subnet, subnet6))?;
        return Ok(CidrOutcome::Adopted);
    };
    if earlier.subnet == subnet && (subnet6.is_none() || earlier.subnet6 == subnet6) {
        if earlier.wanted.is_some() {
            keep(state, Record { wanted: None, ..earlier })?;
        }
        return Ok(CidrOutcome::Unchanged);
    }
    // The old bridge has the old gateway; the next pod creates the new one.
    if remove(state, &mut table).await? {
        keep(state, of_pod_cidr(earlier.bridge, subnet, subnet6))?;
        return Ok(CidrOutcome::Adopted);
    }
    keep(state, Record { wanted: Some(Wanted { subnet, subnet6 }), ..earlier })?;
    make_way(state);
    Ok(CidrOutcome::Waiting)
}

fn keep(state: &State, record: Record) -> Result<(), NetworkError> {
    record::save(&state.root, &record)?;
    state.known().record = Some(record);
    Ok(())
}

/// Once no pod lives outside the pending CIDR, makes the next pod recreate the bridge, in that CIDR.
pub fn make_way(state: &State) {
    let mut known = state.known();
    if wanted(state, &known).is_some() && known.is_unused() {
        tracing::info!("no pod is left in the old subnet; the next one gets an address from kubelet's pod CIDR");
        known.bridge = None;
    }
}

/// The CIDR that is pending while another subnet is in use, and that subnet.
fn wanted(state: &State, known: &Known) -> Option<(Wanted, Ipv4Net)> {
    let record = known.record.as_ref().filter(|_| state.config.subnet.is_none() && known.bridge.is_some())?;
    Some((record.wanted?, record.subnet))
}

/// The message for operators while the CIDR is pending; `None` when none is.
pub fn waiting(state: &State) -> Option<String> {
    let (Wanted { subnet, subnet6 }, used) = wanted(state, &state.known())?;
    let wanted = subnet6.map_or_else(|| subnet.to_string(), |subnet6| format!("{subnet},{subnet6}"));
    Some(format!("pods still use {used}; kubelet's pod CIDR {wanted} applies once the last of them is gone"))
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
