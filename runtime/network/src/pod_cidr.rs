// SPDX-License-Identifier: Apache-2.0
//! kubelet's pod CIDR (CRI `UpdateRuntimeConfig`) as the pods' subnet.
//!
//! kubelet sends it once. On a node's first boot, static pods start before that, and their addresses are valid only in
//! the subnet they were allocated from. The CIDR is then recorded, and is used once the last of them is gone, or by the
//! next start that finds none.

use crate::addresses::Addresses;
use crate::error::NetworkError;
use crate::making::remove;
use crate::record::{self, Origin, Record};
use crate::state::{Known, State};
use crate::subnets::{Family, Subnets};
use crate::take_over::catch_up;
use crate::{decide, names};
use ipnet::IpNet;

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
    let cidr = read(text)?;
    if state.config.subnet.is_some() {
        return Ok(CidrOutcome::Kept("network.subnet is configured"));
    }
    Addresses::within(cidr)?;
    let mut table = state.table().await?;
    // Nothing may change while it is unknown which pods live in which subnet.
    catch_up(state).await?;
    let Some(earlier) = state.known().record.clone() else {
        // No pod has an address before there is a record.
        let bridge = state.config.bridge.clone().unwrap_or_else(|| names::bridge(&state.root, 0));
        keep(state, of_pod_cidr(bridge, cidr))?;
        return Ok(CidrOutcome::Adopted);
    };
    if is_in_use(&earlier.subnets, &decide::of_pod_cidr(&state.config, cidr)) {
        if earlier.wanted.is_some() {
            keep(state, Record { wanted: None, ..earlier })?;
        }
        return Ok(CidrOutcome::Unchanged);
    }
    // The old bridge has the old gateway; the next pod creates the new one.
    if remove(state, &mut table).await? {
        keep(state, of_pod_cidr(earlier.bridge, cidr))?;
        return Ok(CidrOutcome::Adopted);
    }
    keep(state, Record { wanted: Some(cidr), ..earlier })?;
    make_way(state);
    Ok(CidrOutcome::Waiting)
}

/// Whether pods have addresses from what is wanted. They may have more: a family that the configuration adds.
fn is_in_use(used: &Subnets, wanted: &Subnets) -> bool {
    let v4 = wanted.v4.is_none() || wanted.v4 == used.v4;
    let v6 = wanted.v6.is_none() || wanted.v6 == used.v6;
    let none = wanted.v4.is_none() && wanted.v6.is_none();
    v4 && v6 && !none && wanted.families().first() == used.families().first()
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

/// The CIDR that is pending while other subnets are in use, and those.
fn wanted(state: &State, known: &Known) -> Option<(Subnets, Subnets)> {
    let record = known.record.as_ref().filter(|_| state.config.subnet.is_none() && known.bridge.is_some())?;
    Some((record.wanted?, record.subnets))
}

/// The message for operators while the CIDR is pending; `None` when none is.
pub fn waiting(state: &State) -> Option<String> {
    let (wanted, used) = wanted(state, &state.known())?;
    let (wanted, used) = (wanted.text(), used.text());
    Some(format!("pods still use {used}; kubelet's pod CIDR {wanted} applies once the last of them is gone"))
}

fn of_pod_cidr(bridge: String, subnets: Subnets) -> Record {
    Record { table: names::table(&bridge), bridge, subnets, origin: Origin::PodCidr, wanted: None }
}

/// Reads `"v4"`, `"v6"`, `"v4,v6"` or `"v6,v4"`; the first one is that of a pod's first address.
fn read(text: &str) -> Result<Subnets, NetworkError> {
    let bad = |why| NetworkError::Config { key: "pod_cidr", value: text.chars().take(128).collect(), why };
    let (mut v4, mut v6, mut first) = (None, None, None);
    for part in text.split(',').map(str::trim) {
        match part.parse::<IpNet>().map_err(|_| bad("is not ADDRESS/LENGTH, or two of them with a comma"))? {
            IpNet::V4(net) if v4.is_none() => v4 = Some(net),
            IpNet::V6(net) if v6.is_none() => v6 = Some(net),
            _ => return Err(bad("has two subnets of one family")),
        }
        first = first.or(Some(if v4.is_some() { Family::V4 } else { Family::V6 }));
    }
    Ok(Subnets::new(v4, v6, first.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_two_families_in_any_order_are_read() {
        for (text, read_as) in [
            ("10.244.3.0/24", "10.244.3.0/24"),
            ("10.244.3.7/24, fd00:3::/64", "10.244.3.0/24,fd00:3::/64"),
            ("fd00:3::/64,10.244.3.0/24", "fd00:3::/64,10.244.3.0/24"),
            ("fd00:3::/64", "fd00:3::/64"),
        ] {
            assert_eq!(read(text).expect("valid").text(), read_as);
        }
    }

    #[test]
    fn a_family_more_than_wanted_is_fine_and_another_first_one_is_not() {
        let of = |text| read(text).expect("valid");
        for (used, wanted, fine) in [
            ("10.244.3.0/24", "10.244.3.0/24", true),
            ("10.244.3.0/24,fd00:3::/64", "10.244.3.0/24", true),
            ("10.244.3.0/24", "10.244.3.0/24,fd00:3::/64", false),
            ("10.244.3.0/24,fd00:3::/64", "fd00:3::/64,10.244.3.0/24", false),
            ("10.64.0.0/20,fd00:3::/64", "fd00:3::/64", false),
            ("10.64.0.0/20", "10.244.3.0/24", false),
        ] {
            assert_eq!(is_in_use(&of(used), &of(wanted)), fine, "{used} {wanted}");
        }
    }

    #[test]
    fn what_is_no_cidr_is_refused_with_the_text() {
        for bad in ["", "10.244.3.0", "10.0.0.0/8,10.1.0.0/16", "x,y", "10.0.0.0/33"] {
            let error = read(bad).expect_err("refused").to_string();
            assert!(error.starts_with(&format!("network.pod_cidr: {bad:?}")), "{error}");
        }
    }
}
