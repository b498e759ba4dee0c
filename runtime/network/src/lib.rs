// SPDX-License-Identifier: Apache-2.0
//! The built-in network, node-wide part: one bridge, one subnet, one nftables table of our own, host ports.
//!
//! Owns every fact that pods share: which address and which host port is whose ([`pods`], in memory, rebuilt at start
//! from the pod records), what the network is called and which subnet it has ([`record`], durable), the bridge and the
//! table (`upkeep`). The inside of a pod's network namespace is the shim's; it gets a [`PodNetworkPlan`].
//!
//! ```text
//! prepare ─► (caller writes the addresses into the pod record) ─► shim sets the pod up ─► publish
//!                                                         withdraw ─► namespace goes ─► release
//! ```
//!
//! Invariants:
//! - A pod without host ports costs no nft call; one with host ports costs one element a port and family.
//! - Bridge and table are made at the first pod that needs them, and are gone after [`Network::remove_if_unused`].
//! - An address is free only after `release`, and only when no rule can lead to it any more.
//! - Nothing but our own table and our own bridge is ever changed, apart from switching forwarding on.
//! - No lock that `status` takes is held across a system call that can wait.
//!
//! Without nft pods work and reach each other and the node; they are not masqueraded, and pods with host ports are
//! refused with [`NftError::Missing`](nft::NftError::Missing). [`Network::degraded`] says so; `status` stays ready.

mod addresses;
mod bridge;
mod conntrack;
mod decide;
mod error;
mod names;
mod netlink;
mod nfnetlink;
pub mod nft;
mod node;
mod node_lock;
mod pod_cidr;
pub mod pods;
pub mod ports;
mod reconcile;
pub mod record;
mod reservation;
mod rules;
mod subnet;
mod sysctl;
mod take_over;
mod upkeep;

pub use error::{NetworkError, NetworkErrorKind};

use gorae_proto::{cri, shim};
use ipnet::{Ipv4Net, Ipv6Net};
use node::Shared;
use ports::HostPort;
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// Name of a pod's interface, inside.
const POD_INTERFACE: &str = "eth0";

/// What may be configured; nothing has to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Name of bridge and table; default: derived from the root directory.
    pub bridge: Option<String>,
    /// Subnet of this node's pods; default: kubelet's pod CIDR, else a free /20, chosen once and recorded.
    pub subnet: Option<Ipv4Net>,
    /// IPv6 subnet; default: none, pods are IPv4 only.
    pub subnet6: Option<Ipv6Net>,
    /// MTU of bridge and pods in bytes; default: that of the interface with the default route.
    pub mtu: Option<u32>,
}

impl NetworkConfig {
    /// Checks what can be wrong whatever the node looks like.
    ///
    /// - Errors: [`NetworkError::Config`], [`NetworkError::SubnetTooSmall`].
    pub fn check(&self) -> Result<(), NetworkError> {
        let bad = |key, value: &dyn ToString, why| Err(NetworkError::Config { key, value: value.to_string(), why });
        if let Some(bridge) = &self.bridge {
            let allowed = bridge.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            if bridge.is_empty() || bridge.len() > names::MAX_INTERFACE_NAME || !allowed || bridge == "all" {
                return bad("bridge", bridge, "is no interface name of 1 to 15 letters, digits, - or _");
            }
        }
        if let Some(mtu) = self.mtu.filter(|mtu| !(1280..=65_535).contains(mtu)) {
            return bad("mtu", &mtu, "is not in 1280..65535");
        }
        match (self.subnet, self.subnet6) {
            (Some(subnet), subnet6) => addresses::Addresses::new(subnet, subnet6).map(drop),
            (None, _) => Ok(()),
        }
    }
}

/// A pod that lived before this daemon, from its record.
#[derive(Debug, Clone, Default)]
pub struct LivePod {
    /// The pod's id.
    pub pod_id: String,
    /// Its addresses in this network.
    pub ips: Vec<IpAddr>,
    /// The mappings of its request.
    pub port_mappings: Vec<cri::PortMapping>,
}

/// What a pod gets: the shim's part, and the addresses for the pod's record and status.
#[derive(Debug, Clone, PartialEq)]
pub struct PodNetworkPlan {
    /// For `SetupPod.network`.
    pub network: shim::PodNetwork,
    /// The pod's addresses, IPv4 first.
    pub ips: Vec<IpAddr>,
}

/// Why something is not as it should be: a CRI condition's reason and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// One word for machines.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
}

/// What became of kubelet's pod CIDR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CidrOutcome {
    /// Pods get their addresses from it from now on.
    Adopted,
    /// It is what pods use already.
    Unchanged,
    /// Pods live in another subnet; it is taken when the last of them is gone.
    Waiting,
    /// It was left aside, and why.
    Kept(&'static str),
}

/// The network of one daemon. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

impl Network {
    /// Takes the network over from the daemon before this one, or starts with none.
    ///
    /// - Shapes: `root_dir` exists; `live` are all pods of the built-in network whose namespaces may still be there.
    ///   The table is rewritten to hold exactly their host ports. What fails here shows in [`status`](Self::status)
    ///   and is tried again; it does not keep the daemon from starting.
    /// - Errors: [`NetworkError::Config`], [`NetworkError::SubnetTooSmall`]: a configuration that cannot be right.
    pub async fn open(config: NetworkConfig, root_dir: &Path, live: &[LivePod]) -> Result<Self, NetworkError> {
        let shared = Arc::new(Shared::open(config, root_dir)?);
        shared.take_over(live).await;
        Ok(Self { shared })
    }

    /// Reserves an address and host ports for a pod, and makes bridge and table when they are not there.
    ///
    /// - Shapes: a second call for the same pod gives the same answer. Nothing is durable: the caller writes the
    ///   addresses into the pod's record before it has the shim use them.
    /// - Errors: [`NetworkErrorKind::InvalidArgument`] for mappings that cannot be right, `AlreadyExists` for a host
    ///   port that is taken, `ResourceExhausted` without a free address; then nothing is reserved.
    pub async fn prepare(&self, pod_id: &str, mappings: &[cri::PortMapping]) -> Result<PodNetworkPlan, NetworkError> {
        let host_ports = HostPort::read_all(mappings)?;
        let (bridge, mtu, lease) = self.shared.prepare(pod_id, &host_ports).await?;
        let network = shim::PodNetwork {
            bridge,
            host_interface: lease.host_interface,
            interface: POD_INTERFACE.into(),
            addresses: lease.addresses.iter().map(ToString::to_string).collect(),
            gateways: lease.gateways.iter().map(ToString::to_string).collect(),
            mtu,
        };
        Ok(PodNetworkPlan { network, ips: lease.addresses.iter().map(ipnet::IpNet::addr).collect() })
    }

    /// Opens the pod's host ports, once the pod is up. Free for a pod without any.
    ///
    /// - Errors: [`NetworkError::NotPrepared`], [`NetworkError::Nft`]; then the ports are not open.
    pub async fn publish(&self, pod_id: &str) -> Result<(), NetworkError> {
        self.shared.publish(pod_id).await
    }

    /// Closes the pod's host ports and gives them back, before the pod's namespace goes. Idempotent.
    ///
    /// - Errors: [`NetworkError::Nft`]: the ports stay the pod's. The caller may try again, or go on and
    ///   [`release`](Self::release): the address then stays out of use until the table could be rewritten.
    pub async fn withdraw(&self, pod_id: &str) -> Result<(), NetworkError> {
        self.shared.withdraw(pod_id).await
    }

    /// Gives the pod's address back, once its namespace is gone. Idempotent, never waits.
    pub fn release(&self, pod_id: &str) {
        self.shared.release(pod_id);
    }

    /// Whether pods can be made. After a failure another try is made in the background, so a node heals by itself.
    ///
    /// - Errors: the last failure, as reason and message of the condition `NetworkReady`. Call inside a tokio runtime.
    pub fn status(&self) -> Result<(), Reason> {
        self.shared.status()
    }

    /// What is not as it should be though pods can be made; `None` when all is well: pods are not masqueraded and host
    /// ports refused, or kubelet's pod CIDR is not used yet.
    pub fn degraded(&self) -> Option<Reason> {
        self.shared.degraded()
    }

    /// Looks whether the kernel still has bridge and table, and makes again what somebody took away; removes host ends
    /// of pods that no longer exist when two looks in a row find them. `stale` is what the last look returned.
    ///
    /// - Errors: what could not be made; the next look tries again.
    pub async fn reconcile(&self, stale: &HashSet<String>) -> Result<HashSet<String>, NetworkError> {
        self.shared.reconcile(stale).await
    }

    /// Takes kubelet's pod CIDR (`"v4"`, `"v6"` or `"v4,v6"`) as the pods' subnet, when nothing is configured: at once,
    /// or when no pod lives in another one any more. It is recorded either way.
    ///
    /// - Errors: [`NetworkError::Config`] when it is no CIDR; [`NetworkError::Record`] when it cannot be recorded.
    pub async fn set_pod_cidr(&self, pod_cidr: &str) -> Result<CidrOutcome, NetworkError> {
        self.shared.set_pod_cidr(pod_cidr).await
    }

    /// Removes bridge and table when no pod uses them, for a clean shutdown; tells whether they are gone.
    ///
    /// - Errors: [`NetworkError::Nft`], [`NetworkError::Netlink`]; another call, or the next start, goes on from there.
    pub async fn remove_if_unused(&self) -> Result<bool, NetworkError> {
        self.shared.remove_if_unused().await
    }

    /// How many pods have an address, and how many host ports are held.
    pub fn count(&self) -> (usize, usize) {
        self.shared.count()
    }
}
