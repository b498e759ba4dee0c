// SPDX-License-Identifier: Apache-2.0
//! Chooses a pod's places in networks and records them; frees them again.

use crate::addresses::Full;
use crate::error::{Error, Result};
use crate::member::{Membership, Phase, Place, Pod};
use crate::names;
use crate::network::{Network, Subnet};
use crate::settle::settle;
use crate::state::{Known, State};
use crate::subnets::is_edge;
use crate::wish::Wish;
use gorae_network::names::pod_hardware_address;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// The most networks of one pod.
const MOST: usize = 64;

/// Chooses the places of a new pod and records them.
///
/// # Errors
/// Those of [`choose`]; [`Error::AlreadyMember`] when the pod has other places; [`Error::Record`].
pub async fn reserve(state: &State, pod_id: &str, wishes: &[Wish], names: &[String]) -> Result<Vec<Membership>> {
    let names = names::check_hosts(names)?;
    let _work = state.work().await?;
    let pod = {
        let mut known = state.known();
        let pod = choose_all(&mut known, pod_id, wishes, &names)?;
        if let Some(earlier) = known.pods.get(pod_id) {
            return repeated(earlier, &pod);
        }
        pod
    };
    state.store.write_pod(&pod).await?;
    let memberships = pod.places.iter().map(Place::membership).collect();
    state.known().pods.insert(pod_id.to_owned(), pod);
    state.notify();
    Ok(memberships)
}

/// The same call gives the same result.
fn repeated(earlier: &Pod, wanted: &Pod) -> Result<Vec<Membership>> {
    let same = earlier.places.len() == wanted.places.len()
        && earlier.places.iter().zip(&wanted.places).all(|(a, b)| a.wish == b.wish && a.names == b.names);
    match earlier.places.first() {
        Some(place) if !same => {
            Err(Error::AlreadyMember { pod_id: earlier.pod_id.clone(), network: place.network.clone() })
        }
        _ => Ok(earlier.places.iter().map(Place::membership).collect()),
    }
}

fn choose_all(known: &mut Known, pod_id: &str, wishes: &[Wish], names: &[String]) -> Result<Pod> {
    if wishes.is_empty() || wishes.len() > MOST {
        return Err(Error::invalid("networks of pod", pod_id, format!("are {}, not 1 to {MOST}", wishes.len())));
    }
    let found = wishes.iter().map(|wish| Ok((known.find(&wish.network)?, wish)));
    let mut all: Vec<(Arc<Network>, &Wish)> = found.collect::<Result<_>>()?;
    all.sort_by(|(a, wish), (b, other)| {
        (Reverse(wish.gateway_priority), &a.name).cmp(&(Reverse(other.gateway_priority), &b.name))
    });
    let mut pod = Pod { pod_id: pod_id.to_owned(), netns: None, places: Vec::new() };
    for (network, wish) in all {
        let place = choose(known, &pod, &network, wish, names)?;
        pod.places.push(place);
    }
    Ok(pod)
}

/// Chooses a place for a pod in one more network.
///
/// # Errors
/// [`Error::AlreadyMember`]; [`Error::Invalid`], [`Error::NotGiven`], [`Error::Taken`] for an address;
/// [`Error::Exhausted`].
pub fn choose(known: &mut Known, pod: &Pod, network: &Network, wish: &Wish, names: &[String]) -> Result<Place> {
    if pod.place(&network.id).is_some() {
        return Err(Error::AlreadyMember { pod_id: pod.pod_id.clone(), network: network.name.clone() });
    }
    let aliases = names::check_hosts(&wish.aliases)?;
    for v4 in [true, false] {
        if let (Some(ip), None) = (wish.address(v4), network.subnet(v4)) {
            let why = format!("is not of a family that network {} has", network.name);
            return Err(Error::invalid("address", ip, why));
        }
    }
    check_mac(known, &pod.pod_id, network, wish)?;
    let mut ips = Vec::new();
    for subnet in &network.subnets {
        ips.push(match wish.address(subnet.is_v4()) {
            Some(ip) => wished(known, &pod.pod_id, network, subnet, ip)?,
            None => free(known, &pod.pod_id, network, subnet)?,
        });
    }
    let derived = ips.first().map(|ip| pod_hardware_address(*ip)).unwrap_or_default();
    Ok(Place {
        mac: wish.mac.unwrap_or(derived),
        wish: Wish { network: network.id.clone(), aliases, ..wish.clone() },
        names: names.to_vec(),
        network: network.name.clone(),
        interface: interface(pod),
        addresses: network.subnets.iter().zip(&ips).map(|(subnet, ip)| subnet.with_prefix(*ip)).collect(),
        gateways: network.subnets.iter().map(|subnet| subnet.gateway).collect(),
        host_interface: names::host_interface(&pod.pod_id, &network.id),
        internal: network.internal,
        phase: Phase::Member,
    })
}

/// The first name that no interface of the pod has.
fn interface(pod: &Pod) -> String {
    let names = (0..).map(|n: u32| format!("eth{n}"));
    let mut free = names.filter(|name| !pod.places.iter().any(|place| place.interface == *name));
    free.next().unwrap_or_default()
}

fn free(known: &mut Known, pod_id: &str, network: &Network, subnet: &Subnet) -> Result<IpAddr> {
    // The pod's own place does not count: a repeated call is told apart later.
    let used = known.used_by_others(&network.id, pod_id);
    known.pools.choose(subnet, &used).map_err(|Full { usable }| {
        let range = subnet.range.unwrap_or(subnet.subnet);
        let used = used.iter().filter(|ip| range.contains(*ip)).count() as u128;
        Error::Exhausted { network: network.name.clone(), range, usable, used }
    })
}

fn wished(known: &Known, pod_id: &str, network: &Network, subnet: &Subnet, ip: IpAddr) -> Result<IpAddr> {
    if !subnet.given {
        return Err(Error::NotGiven { ip, network: network.name.clone() });
    }
    if !subnet.subnet.contains(&ip) || is_edge(subnet.subnet, ip) {
        let why = format!("is not an address that a pod can have in {} of network {}", subnet.subnet, network.name);
        return Err(Error::invalid("address", ip, why));
    }
    if ip == subnet.gateway {
        return Err(Error::invalid("address", ip, format!("is the gateway of network {}", network.name)));
    }
    let has = |place: &Place| place.addresses.iter().any(|net| net.addr() == ip);
    refuse_taken(known, pod_id, network, ip.to_string(), has)?;
    Ok(ip)
}

fn check_mac(known: &Known, pod_id: &str, network: &Network, wish: &Wish) -> Result<()> {
    let Some(mac) = wish.mac else { return Ok(()) };
    let text = mac.map(|byte| format!("{byte:02x}")).join(":");
    // The lowest bit of the first byte stands for a group of interfaces.
    if mac[0] & 1 == 1 || mac == [0; 6] {
        return Err(Error::invalid("hardware address", text, "is not one that an interface can have"));
    }
    refuse_taken(known, pod_id, network, text, |place| place.mac == mac)
}

fn refuse_taken(
    known: &Known,
    pod_id: &str,
    network: &Network,
    address: String,
    has: impl Fn(&Place) -> bool,
) -> Result<()> {
    match known.places(&network.id).find(|(pod, place)| *pod != pod_id && has(place)) {
        Some((pod, _)) => Err(Error::Taken { address, network: network.name.clone(), pod_id: pod.to_owned() }),
        None => Ok(()),
    }
}

/// Frees a pod's places and forgets it.
///
/// # Errors
/// [`Error::Record`]. Then its addresses stay in use.
pub async fn release(state: &State, pod_id: &str) -> Result<()> {
    let mut work = state.work().await?;
    let has_record = {
        let known = state.known();
        known.pods.contains_key(pod_id) || known.damaged_pods.contains_key(pod_id)
    };
    if !has_record {
        return Ok(());
    }
    state.store.remove_pod(pod_id).await?;
    {
        let mut known = state.known();
        known.forget_pod(pod_id);
        known.damaged_pods.remove(pod_id);
        known.up.remove(pod_id);
    }
    state.notify();
    // Nothing is left to do after `detach`. What a failed one left goes now, or at the next look at the node.
    let _ = settle(state, &mut work, &BTreeSet::new()).await;
    Ok(())
}
