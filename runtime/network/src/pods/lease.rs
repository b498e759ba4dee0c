// SPDX-License-Identifier: Apache-2.0
//! What a pod gets from the network, and what a pod of an earlier daemon already has.

use gorae_proto::cri;
use ipnet::IpNet;
use std::net::IpAddr;

/// The lease of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The pod's addresses with the prefix length of their subnet, IPv4 first.
    pub addresses: Vec<IpNet>,
    /// The gateway of each family, in the same order.
    pub gateways: Vec<IpAddr>,
    /// Name of the host end of the pod's veth pair.
    pub host_interface: String,
}

/// Who leads packets for a pod's host ports to the pod.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mapper {
    /// Our table.
    #[default]
    Gorae,
    /// A plugin of the pod's network. We only hold the ports, so that no other pod and no new process gets them.
    Plugin,
}

/// A pod that lived before this daemon, from its record.
#[derive(Debug, Clone, Default)]
pub struct LivePod {
    /// The pod's id.
    pub pod_id: String,
    /// Its addresses.
    pub ips: Vec<IpAddr>,
    /// The mappings of its request.
    pub port_mappings: Vec<cri::PortMapping>,
    /// Whether the addresses are this network's, and not those of a CNI network.
    pub from_pool: bool,
    /// Who maps its host ports.
    pub mapper: Mapper,
}
