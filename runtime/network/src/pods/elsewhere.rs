// SPDX-License-Identifier: Apache-2.0
//! Host ports of pods whose addresses come from elsewhere: reserved before the pod has an address, bound when it has.

use super::lease::Mapper;
use super::publication::Publication;
use super::reserve::bindings;
use super::{Entry, Pods};
use crate::error::NetworkError;
use crate::ports::{self, HostPort};
use std::net::IpAddr;

impl Pods {
    /// Reserves host ports for a pod, in both families where the mapping leaves it open. A second call changes nothing.
    ///
    /// # Errors
    /// [`NetworkError::HostPortTaken`], [`NetworkError::Reserve`]; then nothing is reserved.
    pub fn reserve_ports(&mut self, pod_id: &str, host_ports: &[HostPort], mapper: Mapper) -> Result<(), NetworkError> {
        if self.by_id.contains_key(pod_id) {
            return Ok(());
        }
        let places = ports::places(host_ports)?;
        let entry = Entry {
            from_pool: false,
            number: None,
            ips: Vec::new(),
            mapper,
            host_ports: host_ports.to_vec(),
            bindings: Vec::new(),
            held: self.hold(&places, mapper)?,
            publication: Publication::Reserved,
        };
        self.by_id.insert(pod_id.to_owned(), entry);
        Ok(())
    }

    /// Records which addresses the pod got. Ports of a family that it does not have are free again. What a plugin maps is
    /// the plugin's to judge.
    ///
    /// # Errors
    /// [`NetworkError::NotPrepared`], [`NetworkError::HostAddressFamily`], [`NetworkError::PodAddress`]; then nothing changes.
    pub fn settle(&mut self, pod_id: &str, ips: &[IpAddr]) -> Result<(), NetworkError> {
        let entry = self.by_id.get_mut(pod_id).filter(|entry| !entry.from_pool);
        let entry = entry.ok_or_else(|| NetworkError::NotPrepared { pod_id: pod_id.into() })?;
        if entry.publication.may_be_in_table() {
            return Ok(());
        }
        if entry.mapper == Mapper::Plugin {
            entry.held.retain(|(place, _)| ips.iter().any(|ip| ip.is_ipv4() == place.at.is_ipv4()));
            entry.ips = ips.to_vec();
            return Ok(());
        }
        let bound = bindings(pod_id, &entry.host_ports, ips)?;
        if let Some(ip) = bound.iter().map(|binding| binding.to.ip()).find(|ip| !can_be_a_pods(*ip)) {
            return Err(NetworkError::PodAddress { ip });
        }
        entry.held.retain(|(place, _)| bound.iter().any(|binding| binding.place == *place));
        entry.ips = ips.to_vec();
        entry.bindings = bound;
        Ok(())
    }
}

/// Whether a pod can have the address: behind a host port, one of the loopback would be the node's.
pub(super) fn can_be_a_pods(ip: IpAddr) -> bool {
    let unusual = match ip {
        IpAddr::V4(ip) => ip.is_broadcast() || ip.is_link_local() || ip.octets()[0] == 0,
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.to_ipv4_mapped().is_some(),
    };
    !(unusual || ip.is_loopback() || ip.is_unspecified() || ip.is_multicast())
}
