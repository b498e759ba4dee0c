// SPDX-License-Identifier: Apache-2.0
//! Lets the node's own 127.0.0.1 reach pods with host ports: `route_localnet` of the interfaces that lead to them.
//!
//! The sysctl also lets pods and neighbours in, and only the table's guard keeps them out. So it is on only between writing
//! the table and removing it, and only where a host port needs it. The caller holds the table lock.

use crate::binding::Binding;
use crate::error::NetworkError;
use crate::netlink::Rtnl;
use crate::state::{Failure, Known, State, blocking};
use crate::switched::Switched;
use crate::sysctl;
use crate::way::Ways;
use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::PoisonError;

/// Records over which interfaces these host ports are reached; [`follow`] looks at those anew.
pub fn know(known: &mut Known, ways: &Ways, bindings: &[Binding]) {
    for ip in targets(bindings) {
        if let Some(interface) = ways.get(&ip).and_then(|way| way.interface.clone()) {
            known.loopback_on.remove(&interface);
            known.loopback_ways.insert(ip, interface);
        }
    }
}

/// Switches the sysctl on where host ports in the table need it, and off where the last of them is gone. A failure is kept
/// for `degraded` and retried: all other addresses of the node reach the pods nevertheless.
pub async fn follow(state: &State) {
    let (wanted, new, own) = {
        let mut known = state.known();
        let targets = targets(&known.pods.wanted().0);
        known.loopback_ways.retain(|ip, _| targets.contains(ip));
        let wanted: BTreeSet<String> = known.loopback_ways.values().cloned().collect();
        known.loopback_on.retain(|interface| wanted.contains(interface));
        let new: BTreeSet<String> = wanted.difference(&known.loopback_on).cloned().collect();
        let own = own(&known, &new);
        (wanted, new, own)
    };
    let done = {
        let wanted = wanted.clone();
        on_switched(state, move |switched| adjust(switched, &wanted, &new, &own)).await
    };
    if done.is_ok() {
        state.known().loopback_on = wanted;
    }
    note(state, done.as_ref().err());
}

/// Switches all of them off, before the guard goes or because it is gone.
///
/// # Errors
/// [`NetworkError::Sysctl`], [`NetworkError::Record`]; then some may still be on.
pub async fn close(state: &State) -> Result<(), NetworkError> {
    let own = {
        let mut known = state.known();
        let on = std::mem::take(&mut known.loopback_on);
        own(&known, &on)
    };
    let done = on_switched(state, move |switched| {
        own.iter().try_for_each(|interface| sysctl::route_loopback(interface, false))?;
        switched.all_but(&BTreeSet::new()).iter().try_for_each(|interface| switched.off(interface))
    });
    let done = done.await;
    note(state, done.as_ref().err());
    done
}

/// The addresses of pods that 127.0.0.0/8 leads to.
fn targets(bindings: &[Binding]) -> HashSet<IpAddr> {
    let asked = bindings.iter().filter(|binding| binding.to.is_ipv4() && binding.place.takes_loopback());
    asked.map(|binding| binding.to.ip()).collect()
}

/// Those that are the built-in network's: no one else's, and gone with its pods.
fn own(known: &Known, interfaces: &BTreeSet<String>) -> BTreeSet<String> {
    if interfaces.is_empty() {
        return BTreeSet::new();
    }
    let mut own: HashSet<String> = known.homes().into_iter().map(|home| home.interface).collect();
    own.extend(known.record.as_ref().map(|record| record.bridge.clone()));
    interfaces.iter().filter(|interface| own.contains(*interface)).cloned().collect()
}

async fn on_switched(
    state: &State,
    work: impl FnOnce(&mut Switched) -> Result<(), NetworkError> + Send + 'static,
) -> Result<(), NetworkError> {
    // Locked by the thread that works: it goes on when the caller does not wait any more.
    let switched = state.switched.clone();
    blocking(move || work(&mut switched.lock().unwrap_or_else(PoisonError::into_inner))).await
}

fn adjust(
    switched: &mut Switched,
    wanted: &BTreeSet<String>,
    new: &BTreeSet<String>,
    own: &BTreeSet<String>,
) -> Result<(), NetworkError> {
    switched.all_but(wanted).iter().try_for_each(|interface| switched.off(interface))?;
    own.iter().try_for_each(|interface| sysctl::route_loopback(interface, true))?;
    let others: Vec<&String> = new.difference(own).collect();
    if others.is_empty() {
        return Ok(());
    }
    let uplinks = Rtnl::open()?.uplinks()?;
    for interface in others {
        if uplinks.contains(interface) {
            switched.off(interface)?;
            tracing::warn!(
                interface,
                "host ports on 127.0.0.1 do not reach the pods behind this interface: it has a default route, so \
                 route_localnet stays off; the node's other addresses reach them"
            );
        } else {
            switched.on(interface)?;
        }
    }
    Ok(())
}

/// Keeps a failure; a new one is logged once.
fn note(state: &State, error: Option<&NetworkError>) {
    let failure = error.map(Failure::new);
    let before = std::mem::replace(&mut state.known().loopback_failure, failure.clone());
    if let Some(now) = failure.filter(|now| before.is_none_or(|before| before.message != now.message)) {
        tracing::warn!(error = now.message, "cannot follow where 127.0.0.1 has to lead for host ports");
    }
}
