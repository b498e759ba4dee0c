// SPDX-License-Identifier: Apache-2.0
//! Reserves addresses and host ports.

use super::lease::{Lease, LivePod};
use super::publication::Publication;
use super::{Entry, Pods};
use crate::binding::Binding;
use crate::error::NetworkError;
use crate::names;
use crate::ports::HostPort;
use crate::reservation::Reservation;
use ipnet::IpNet;
use std::net::IpAddr;

impl Pods {
    /// Reserves an address and host ports for a pod; a second call returns the same lease.
    ///
    /// # Errors
    /// [`NetworkError::HostPortTaken`], [`NetworkError::AddressesExhausted`],
    /// [`NetworkError::HostAddressFamily`]; then nothing is reserved.
    pub fn reserve(&mut self, pod_id: &str, host_ports: &[HostPort]) -> Result<Lease, NetworkError> {
        if let Some(entry) = self.by_id.get(pod_id) {
            if entry.publication.may_be_in_table() || entry.host_ports == host_ports {
                return Ok(self.lease(pod_id, entry));
            }
            self.forget(pod_id);
        }
        let number = self.addresses.take()?;
        let ips: Vec<IpAddr> = self.addresses.of(number).iter().map(IpNet::addr).collect();
        match self.hold(&ips, host_ports) {
            Ok((bindings, held)) => {
                let host_ports = host_ports.to_vec();
                let number = Some(number);
                let entry = Entry { number, ips, host_ports, bindings, held, publication: Publication::Reserved };
                let lease = self.lease(pod_id, &entry);
                self.by_id.insert(pod_id.to_owned(), entry);
                Ok(lease)
            }
            Err(error) => {
                self.addresses.give(number);
                Err(error)
            }
        }
    }

    /// Takes over a pod that lived before this daemon. Its host ports are reserved as far as the kernel allows;
    /// failures are returned as sentences for the log.
    pub fn adopt(&mut self, pod: &LivePod) -> Vec<String> {
        let mut odd = Vec::new();
        let mut number = None;
        for ip in &pod.ips {
            match self.addresses.take_back(*ip) {
                Some(taken) => number = number.or(Some(taken)),
                None if number.is_some_and(|n| self.addresses.of(n).iter().any(|net| net.addr() == *ip)) => {}
                None => odd.push(format!("address {ip} is outside this network, or another pod also has it")),
            }
        }
        let host_ports = HostPort::read_all(&pod.port_mappings).unwrap_or_else(|e| {
            odd.push(e.to_string());
            Vec::new()
        });
        let bindings: Vec<Binding> =
            host_ports.iter().filter_map(|port| port.bindings(&pod.ips).ok()).flatten().collect();
        let held = bindings.iter().filter_map(|b| Reservation::take(b).map_err(|e| odd.push(e.to_string())).ok());
        let held: Vec<Reservation> = held.collect();
        let ips = pod.ips.clone();
        let publication = if bindings.is_empty() { Publication::Reserved } else { Publication::Wanted };
        let entry = Entry { number, ips, host_ports, bindings, held, publication };
        self.by_id.insert(pod.pod_id.clone(), entry);
        odd
    }

    fn hold(&self, ips: &[IpAddr], host_ports: &[HostPort]) -> Result<(Vec<Binding>, Vec<Reservation>), NetworkError> {
        let mut bindings: Vec<Binding> = Vec::new();
        for port in host_ports {
            for binding in port.bindings(ips)? {
                if bindings.iter().any(|other| other.collides(&binding)) {
                    return Err(NetworkError::HostPortTaken { binding, holder: "this pod itself".into() });
                }
                if let Some(pod_id) = self.holder(&binding) {
                    return Err(NetworkError::HostPortTaken { binding, holder: format!("pod {pod_id}") });
                }
                bindings.push(binding);
            }
        }
        let held = bindings.iter().map(Reservation::take).collect::<Result<Vec<_>, _>>()?;
        Ok((bindings, held))
    }

    fn holder(&self, wanted: &Binding) -> Option<&str> {
        let holds = |entry: &Entry| entry.bindings.iter().any(|binding| binding.collides(wanted));
        self.by_id.iter().find(|(_, entry)| holds(entry)).map(|(id, _)| id.as_str())
    }

    fn lease(&self, pod_id: &str, entry: &Entry) -> Lease {
        let gateways: Vec<IpAddr> = self.addresses.gateways().iter().map(IpNet::addr).collect();
        let addresses = entry
            .number
            .map_or_else(|| entry.ips.iter().map(|ip| IpNet::from(*ip)).collect(), |number| self.addresses.of(number));
        Lease { addresses, gateways, host_interface: names::host_interface(pod_id) }
    }
}
