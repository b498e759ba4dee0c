// SPDX-License-Identifier: Apache-2.0
//! Takes over pods that lived before this daemon.

use super::elsewhere::can_be_a_pods;
use super::hold::take;
use super::lease::{LivePod, Mapper};
use super::publication::Publication;
use super::{Entry, Pods};
use crate::binding::{Binding, Place};
use crate::ports::{self, HostPort};
use crate::reservation::Reservation;
use std::collections::HashSet;
use std::net::IpAddr;

impl Pods {
    /// Takes over a pod that lived before this daemon. Its host ports are reserved as far as the kernel allows;
    /// failures are returned as sentences for the log.
    pub fn adopt(&mut self, pod: &LivePod) -> Vec<String> {
        let mut odd = Vec::new();
        let number = if pod.from_pool { self.take_back(pod, &mut odd) } else { None };
        let host_ports = HostPort::read_all(&pod.port_mappings).unwrap_or_else(|e| {
            odd.push(e.to_string());
            Vec::new()
        });
        let ips: Vec<IpAddr> = pod.ips.iter().copied().filter(|ip| can_be_a_pods(*ip)).collect();
        let held = take_over(&host_ports, &ips, &mut odd);
        let of_ours = host_ports.iter().filter(|_| pod.mapper == Mapper::Gorae);
        let bindings: HashSet<Binding> = of_ours.filter_map(|port| port.bindings(&ips).ok()).flatten().collect();
        let bindings: Vec<Binding> = bindings.into_iter().collect();
        let publication = if bindings.is_empty() { Publication::Reserved } else { Publication::Wanted };
        let (from_pool, mapper) = (pod.from_pool, pod.mapper);
        let entry = Entry { from_pool, number, ips, mapper, host_ports, bindings, held, publication };
        self.by_id.insert(pod.pod_id.clone(), entry);
        odd
    }

    /// Takes the number of the pod's addresses, all of which are those of one number.
    fn take_back(&mut self, pod: &LivePod, odd: &mut Vec<String>) -> Option<u32> {
        let addresses = self.addresses.as_mut()?;
        let mut number = None;
        for ip in &pod.ips {
            match addresses.take_back(*ip) {
                Some(taken) => number = number.or(Some(taken)),
                None if number.is_some_and(|n| addresses.of(n).iter().any(|net| net.addr() == *ip)) => {}
                None => odd.push(format!("address {ip} is outside this network, or another pod also has it")),
            }
        }
        number
    }
}

/// The places of a live pod with these addresses. They stay the pod's where the kernel refuses the socket.
fn take_over(host_ports: &[HostPort], ips: &[IpAddr], odd: &mut Vec<String>) -> Vec<(Place, Reservation)> {
    let mut places = ports::places(host_ports).unwrap_or_else(|error| {
        odd.push(error.to_string());
        Vec::new()
    });
    places.retain(|place| ips.iter().any(|ip| ip.is_ipv4() == place.at.is_ipv4()));
    let mut held = |place: &Place| {
        take(place, &places).unwrap_or_else(|error| {
            odd.push(error.to_string());
            Reservation::without_socket()
        })
    };
    places.iter().map(|place| (*place, held(place))).collect()
}
