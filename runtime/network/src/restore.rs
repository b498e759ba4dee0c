// SPDX-License-Identifier: Apache-2.0
//! Restores what other programs removed from the bridge and from the host ends of pods: `ip addr flush`, an interface that
//! was taken down and up, a network manager that found them strange.

use crate::addresses::Addresses;
use crate::bridge::Ready;
use crate::error::NetworkError;
use crate::lost::{Kernel, Wanted};
use crate::making::make_complete;
use crate::netlink::Rtnl;
use crate::record::Record;
use crate::state::{State, blocking};
use std::collections::BTreeSet;
use std::net::Ipv6Addr;

/// Compares bridge and host ends with what they should be; returns whether something was missing. The caller holds the
/// table lock.
///
/// # Errors
/// The error of what could not be restored; the next look tries it again.
pub async fn restore(state: &State, bridge: Ready, record: &Record) -> Result<bool, NetworkError> {
    let kernel = blocking(move || Kernel::read(&mut Rtnl::open()?, bridge.index)).await?;
    // After that, so that nothing in the kernel is there for a pod that we do not know yet.
    let homes = state.known().homes();
    let gateways = Addresses::within(record.subnets)?.gateways();
    let wanted = Wanted { bridge: bridge.index, name: record.bridge.clone(), gateways, homes };
    let lost = wanted.lost(&kernel);
    report(state, &lost);
    if let Some(known) = state.known().bridge.as_mut().filter(|known| known.index == bridge.index) {
        known.has_ports = kernel.has_ports(bridge.index);
    }
    let (mtu, record, missing) = (state.config.mtu, record.clone(), !lost.is_empty());
    blocking(move || {
        let mut rtnl = Rtnl::open()?;
        if missing {
            make_complete(&mut rtnl, mtu, &record, &wanted.homes)?;
        }
        answer_only_for(&mut rtnl, bridge.index, &kernel.answered, &wanted.answered(&kernel))
    })
    .await?;
    Ok(missing)
}

/// Warns of what is missing, once for as long as it is the same.
fn report(state: &State, lost: &[String]) {
    let before = std::mem::replace(&mut state.known().lost, lost.to_vec());
    if let Some(first) = lost.first().filter(|_| before != lost) {
        let count = lost.len();
        tracing::warn!(count, "the network was changed from outside: {first}, for example; restoring it");
    }
}

/// Answers on the bridge for the wanted addresses, and no longer for those of pods that are gone.
fn answer_only_for(
    rtnl: &mut Rtnl,
    bridge: u32,
    answered: &BTreeSet<Ipv6Addr>,
    wanted: &BTreeSet<Ipv6Addr>,
) -> Result<(), NetworkError> {
    answered.difference(wanted).try_for_each(|ip| rtnl.stop_answering_for(bridge, *ip))?;
    wanted.difference(answered).try_for_each(|ip| rtnl.answer_for(bridge, *ip))
}
