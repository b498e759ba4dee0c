// SPDX-License-Identifier: Apache-2.0
//! Reserves addresses of the built-in network, with host ports.

use super::lease::{Lease, Mapper};
use super::publication::Publication;
use super::{Entry, Pods};
use crate::addresses::Addresses;
use crate::binding::Binding;
use crate::error::NetworkError;
use crate::names;
use crate::ports::{self, HostPort};
use ipnet::IpNet;
use std::net::IpAddr;

impl Pods {
    /// Reserves an address and host ports for a pod; a second call returns the same lease.
    ///
    /// # Errors
    /// [`NetworkError::HostPortTaken`], [`NetworkError::AddressesExhausted`],
    /// [`NetworkError::HostAddressFamily`], [`NetworkError::NotMade`]; then nothing is reserved.
    pub fn reserve(&mut self, pod_id: &str, host_ports: &[HostPort]) -> Result<Lease, NetworkError> {
        if let Some(entry) = self.by_id.get(pod_id) {
            if entry.publication.may_be_in_table() || entry.host_ports == host_ports {
                return Ok(self.lease(pod_id, entry));
            }
            self.forget(pod_id);
        }
        let addresses = self.addresses.as_mut().ok_or(NetworkError::NotMade)?;
        let number = addresses.take()?;
        let ips: Vec<IpAddr> = addresses.of(number).iter().map(IpNet::addr).collect();
        match self.entry(pod_id, number, ips, host_ports) {
            Ok(entry) => {
                let lease = self.lease(pod_id, &entry);
                self.by_id.insert(pod_id.to_owned(), entry);
                Ok(lease)
            }
            Err(error) => {
                self.give(number);
                Err(error)
            }
        }
    }

    /// Frees an address.
    pub(super) fn give(&mut self, number: u32) {
        self.addresses.iter_mut().for_each(|addresses| addresses.give(number));
    }

    fn entry(
        &self,
        pod_id: &str,
        number: u32,
        ips: Vec<IpAddr>,
        host_ports: &[HostPort],
    ) -> Result<Entry, NetworkError> {
        let mut places = ports::places(host_ports)?;
        let bindings = bindings(pod_id, host_ports, &ips)?;
        places.retain(|place| bindings.iter().any(|binding| binding.place == *place));
        Ok(Entry {
            from_pool: true,
            number: Some(number),
            ips,
            mapper: Mapper::Gorae,
            host_ports: host_ports.to_vec(),
            bindings,
            held: self.hold(&places, Mapper::Gorae)?,
            publication: Publication::Reserved,
        })
    }

    fn lease(&self, pod_id: &str, entry: &Entry) -> Lease {
        let gateways: Vec<IpAddr> = self.gateways().iter().map(IpNet::addr).collect();
        let of = |number| self.addresses.as_ref().map(|addresses: &Addresses| addresses.of(number));
        let addresses = entry.number.and_then(of);
        let addresses = addresses.unwrap_or_else(|| entry.ips.iter().map(|ip| IpNet::from(*ip)).collect());
        Lease { addresses, gateways, host_interface: names::host_interface(pod_id) }
    }
}

/// Where the host ports of a pod with these addresses lead. Those that lead nowhere are logged.
///
/// # Errors
/// [`NetworkError::HostAddressFamily`].
pub(super) fn bindings(pod_id: &str, host_ports: &[HostPort], ips: &[IpAddr]) -> Result<Vec<Binding>, NetworkError> {
    let mut all: Vec<Binding> = Vec::new();
    for port in host_ports {
        let bound = port.bindings(ips)?;
        if bound.is_empty() {
            let HostPort { host_ip, host_port, .. } = port;
            tracing::warn!(pod_id, ?host_ip, host_port, "not opened: the pod has no address of that family");
        }
        all.extend(bound.into_iter().filter(|binding| !all.contains(binding)).collect::<Vec<_>>());
    }
    Ok(all)
}
