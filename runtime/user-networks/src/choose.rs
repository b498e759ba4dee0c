// SPDX-License-Identifier: Apache-2.0
//! Chooses a pod's place in a network: its addresses and its interface. Nothing is changed.

use crate::addresses::Full;
use crate::error::{Error, Result};
use crate::member::{Besides, Phase, Place, Pod};
use crate::names;
use crate::network::{Network, Subnet};
use crate::state::Known;
use crate::subnets::is_edge;
use crate::wish::Wish;
use gorae_network::names::{hardware_address, pod_hardware_address};
use std::net::IpAddr;

/// Chooses a place for a pod in one more network.
///
/// # Errors
/// [`Error::AlreadyMember`]; [`Error::Invalid`], [`Error::NotGiven`], [`Error::Taken`] for an address;
/// [`Error::Exhausted`].
pub fn choose(known: &Known, pod: &Pod, network: &Network, wish: &Wish, names: &[String]) -> Result<Place> {
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
    let mut ips = Vec::new();
    for subnet in &network.subnets {
        ips.push(match wish.address(subnet.is_v4()) {
            Some(ip) => wished(known, &pod.pod_id, network, subnet, ip)?,
            None => free(known, pod, network, subnet, names)?,
        });
    }
    let mac = match wish.mac {
        Some(mac) => mac,
        None => derived(known, &pod.pod_id, network, ips.first().copied()),
    };
    check_mac(known, &pod.pod_id, network, mac)?;
    Ok(Place {
        mac,
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
    let first = if pod.besides == Besides::DefaultNetwork { 1 } else { 0 };
    let names = (first..).map(|n: u32| format!("eth{n}"));
    let mut free = names.filter(|name| !pod.places.iter().any(|place| place.interface == *name));
    free.next().unwrap_or_default()
}

fn free(known: &Known, pod: &Pod, network: &Network, subnet: &Subnet, names: &[String]) -> Result<IpAddr> {
    // The pod's own place does not count: a repeated call is told apart later.
    let used = known.used_by_others(&network.id, &pod.pod_id);
    known.pools.choose(subnet, &used, names.first()).map_err(|Full { usable }| {
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

/// A hardware address that belongs to the IP address, so that one that moves is found at the same place. Of IPv6 addresses,
/// two may end alike; then the second one has a hash.
fn derived(known: &Known, pod_id: &str, network: &Network, first: Option<IpAddr>) -> [u8; 6] {
    let Some(ip) = first else { return [0; 6] };
    let mac = pod_hardware_address(ip);
    let taken = known.places(&network.id).any(|(pod, place)| pod != pod_id && place.mac == mac);
    if taken { hardware_address(&ip.to_string()) } else { mac }
}

fn check_mac(known: &Known, pod_id: &str, network: &Network, mac: [u8; 6]) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn known() -> (Known, Arc<Network>) {
        let subnet = Subnet {
            subnet: "fd00:1::/64".parse().expect("net"),
            range: None,
            gateway: "fd00:1::1".parse().expect("address"),
            given: true,
        };
        let network = Arc::new(Network {
            id: "0".repeat(64),
            name: "web".into(),
            created_at: 0,
            subnets: vec![subnet],
            internal: false,
            mtu: None,
            labels: Default::default(),
            options: Default::default(),
            bridge: "gn-0".into(),
            isolated: false,
            masquerade: true,
        });
        let mut known = Known::default();
        known.networks.insert(network.id.clone(), network.clone());
        (known, network)
    }

    fn join(known: &mut Known, network: &Network, pod_id: &str, wish: &Wish) -> Result<Place> {
        let pod = Pod { pod_id: pod_id.into(), netns: None, besides: Besides::Nothing, places: Vec::new() };
        let place = choose(known, &pod, network, wish, &[])?;
        known.pods.insert(pod_id.into(), Pod { places: vec![place.clone()], ..pod });
        Ok(place)
    }

    #[test]
    fn two_addresses_that_end_alike_have_two_hardware_addresses() {
        let (mut known, network) = known();
        let at = |ip: &str| Wish { network: "web".into(), ipv6: ip.parse().ok(), ..Wish::default() };
        let one = join(&mut known, &network, "a", &at("fd00:1::1:0:0:2")).expect("free");
        let two = join(&mut known, &network, "b", &at("fd00:1::2:0:0:2")).expect("free");
        assert_eq!(one.mac, [2, 0x67, 0, 0, 0, 2]);
        assert_ne!(one.mac, two.mac);
        let same = Wish { mac: Some(one.mac), ..at("fd00:1::3") };
        assert!(matches!(join(&mut known, &network, "c", &same), Err(Error::Taken { .. })));
    }

    #[test]
    fn an_address_that_was_only_looked_for_is_the_next_one() {
        let (mut known, network) = known();
        let pod = Pod { pod_id: "a".into(), netns: None, besides: Besides::Nothing, places: Vec::new() };
        let look = |known: &Known| choose(known, &pod, &network, &Wish::default(), &[]).expect("free");
        assert_eq!(look(&known), look(&known));
        let first = look(&known);
        known.take(&first);
        assert_ne!(look(&known).addresses, first.addresses);
    }

    #[test]
    fn an_interface_gets_the_first_free_name() {
        let (mut known, network) = known();
        let mut place = join(&mut known, &network, "a", &Wish::default()).expect("free");
        let mut pod = Pod { pod_id: "a".into(), netns: None, besides: Besides::Nothing, places: Vec::new() };
        for name in ["eth0", "eth1"] {
            assert_eq!(interface(&pod), name);
            place.interface = name.into();
            pod.places.push(place.clone());
        }
        pod.places.remove(0);
        assert_eq!(interface(&pod), "eth0");
    }
}
