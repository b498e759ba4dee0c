// SPDX-License-Identifier: Apache-2.0
//! The handle of the built-in network, with the steps of a pod's life in it.

use crate::bridge::Ready;
use crate::config::NetworkConfig;
use crate::error::NetworkError;
use crate::health::{self, Reason};
use crate::holder::name_holder;
use crate::host_ends::HOST_END;
use crate::netlink::Rtnl;
use crate::others::Others;
use crate::pod_cidr::{self, CidrOutcome};
use crate::pods::{Lease, LivePod};
use crate::ports::HostPort;
use crate::reconcile::reconcile;
use crate::state::{Known, State, TableState, blocking};
use crate::take_over::{make, take_over};
use crate::{making, names, services, table};
use gorae_proto::{cri, shim};
use ipnet::IpNet;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;

/// Name of a pod's interface inside its namespace.
const POD_INTERFACE: &str = "eth0";

/// What a pod gets: the shim's part, and the addresses for the pod's record and status.
#[derive(Debug, Clone, PartialEq)]
pub struct PodNetworkPlan {
    /// For `SetupPod.network`.
    pub network: shim::PodNetwork,
    /// The pod's addresses, that of the primary family first.
    pub ips: Vec<IpAddr>,
}

/// The bridge of the built-in network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// Its name on the node.
    pub name: String,
    /// Its addresses, with the prefix lengths of the subnets; that of the primary family first.
    pub gateways: Vec<IpNet>,
    /// In bytes, while it exists.
    pub mtu: Option<u32>,
}

impl PodNetworkPlan {
    fn new(bridge: String, mtu: u32, lease: Lease) -> Self {
        let ips: Vec<IpAddr> = lease.addresses.iter().map(IpNet::addr).collect();
        let of_family = |ip: &IpAddr| lease.gateways.iter().find(|gateway| gateway.is_ipv4() == ip.is_ipv4());
        let gateways: Vec<IpAddr> = ips.iter().filter_map(of_family).copied().collect();
        let network = shim::PodNetwork {
            host_mac: names::hardware_address(&bridge).to_vec(),
            bridge,
            host_interface: lease.host_interface,
            interface: POD_INTERFACE.into(),
            // Without its subnet: the pod sends everything to the node, and the node routes it.
            addresses: ips.iter().map(|ip| IpNet::from(*ip).to_string()).collect(),
            gateways: gateways.iter().map(|ip| next_hop(*ip).to_string()).collect(),
            sources: gateways.iter().map(ToString::to_string).collect(),
            mtu,
        };
        Self { network, ips }
    }
}

/// What a pod's default route goes to. The host end answers for every IPv4 address of the node, but only for an IPv6
/// address that it has itself; that one is the same on every host end.
fn next_hop(gateway: IpAddr) -> IpAddr {
    if gateway.is_ipv4() { gateway } else { HOST_END.into() }
}

/// The built-in network of one daemon. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Network {
    pub(crate) state: Arc<State>,
    /// Ends with the last handle.
    _following: Arc<Following>,
}

/// The task that follows the addresses of Services.
#[derive(Debug)]
struct Following(tokio::task::JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Network {
    /// Takes over the network of the previous daemon, or starts without one.
    ///
    /// - Shapes: `root_dir` exists; `live` are all pods of the built-in network whose namespaces may still exist. The
    ///   table is rewritten to hold exactly their host ports. A failure here shows in [`status`](Self::status) and is
    ///   retried; it does not keep the daemon from starting.
    ///
    /// # Errors
    /// [`NetworkError::Config`], [`NetworkError::SubnetTooSmall`]: the configuration is not valid;
    /// [`NetworkError::ForeignRecord`].
    pub async fn open(config: NetworkConfig, root_dir: &Path, live: &[LivePod]) -> Result<Self, NetworkError> {
        Self::open_beside(Others::default(), config, root_dir, live).await
    }

    /// The same on a node where others have subnets that it shows no trace of: none of these is chosen.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_beside(
        others: Others,
        config: NetworkConfig,
        root_dir: &Path,
        live: &[LivePod],
    ) -> Result<Self, NetworkError> {
        let state = Arc::new(State::open(config, root_dir, others)?);
        take_over(&state, live).await;
        let follow = services::follow(Arc::downgrade(&state), async |state| table::follow_services(&state).await);
        Ok(Self { state, _following: Arc::new(Following(tokio::spawn(follow))) })
    }

    /// Reserves an address and host ports for a pod, and creates bridge and table when they are missing.
    ///
    /// - Shapes: a second call for the same pod gives the same result. Nothing is durable: the caller writes the
    ///   addresses into the pod's record before the shim uses them.
    ///
    /// # Errors
    /// [`NetworkErrorKind::InvalidArgument`](crate::NetworkErrorKind) for mappings that are not valid, `AlreadyExists`
    /// for a host port that is in use, `ResourceExhausted` without a free address; then nothing is reserved.
    pub async fn prepare(&self, pod_id: &str, mappings: &[cri::PortMapping]) -> Result<PodNetworkPlan, NetworkError> {
        let host_ports = HostPort::read_all(mappings)?;
        let _preparing = Preparing::begin(self.state.clone());
        self.make_what_is_missing(!host_ports.is_empty()).await?;
        match self.reserve(pod_id, &host_ports) {
            Err(error) => Err(name_holder(error).await),
            Ok(plan) => {
                self.answer_for(&plan.ips).await;
                Ok(plan)
            }
        }
    }

    /// Makes a new pod known to those pods that are still ports of the bridge, if there are any. For IPv4 the kernel
    /// does so by itself.
    async fn answer_for(&self, ips: &[IpAddr]) {
        let Some(Ready { index, has_ports: true, .. }) = self.state.known().bridge else { return };
        let ips: Vec<Ipv6Addr> =
            ips.iter().filter_map(|ip| if let IpAddr::V6(ip) = ip { Some(*ip) } else { None }).collect();
        if ips.is_empty() {
            return;
        }
        let done = blocking(move || {
            let mut rtnl = Rtnl::open()?;
            ips.into_iter().try_for_each(|ip| rtnl.answer_for(index, ip))
        });
        if let Err(error) = done.await {
            tracing::warn!(%error, "pods of an earlier daemon cannot reach a new one over IPv6");
        }
    }

    async fn make_what_is_missing(&self, needs_table: bool) -> Result<(), NetworkError> {
        let state = &self.state;
        if state.is_made() && !(needs_table && state.known().table_failure.is_some()) {
            return Ok(());
        }
        let mut guard = state.table().await?;
        if !state.is_made() {
            make(state, &mut guard).await?;
        }
        if *guard == TableState::Unknown && needs_table {
            table::write(state, &mut guard).await?;
        }
        Ok(())
    }

    fn reserve(&self, pod_id: &str, host_ports: &[HostPort]) -> Result<PodNetworkPlan, NetworkError> {
        let mut known = self.state.known();
        let Known { record: Some(record), pods, bridge: Some(bridge), .. } = &mut *known else {
            return Err(NetworkError::NotMade);
        };
        let lease = pods.reserve(pod_id, host_ports)?;
        Ok(PodNetworkPlan::new(record.bridge.clone(), bridge.mtu, lease))
    }

    /// Releases the pod's address, once its namespace is gone. Idempotent, never blocks.
    pub fn release(&self, pod_id: &str) {
        self.state.known().owed.iter_mut().for_each(|live| live.retain(|pod| pod.pod_id != pod_id));
        if !self.state.with_pods(|pods| pods.forget(pod_id)) {
            tracing::warn!(pod_id, "the address stays out of use until the table has been rewritten");
        }
        pod_cidr::make_way(&self.state);
    }

    /// Reports whether pods can be created. After a failure, this also starts a background retry, so a node heals by
    /// itself.
    ///
    /// # Errors
    /// The last failure, as reason and message of the condition `NetworkReady`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn status(&self) -> Result<(), Reason> {
        health::status(&self.state)
    }

    /// Reports what is wrong although pods can be created; `None` when all is well. Pods are not masqueraded
    /// and host ports are refused, a firewall drops their traffic, host ports do not answer on 127.0.0.1, or kubelet's pod
    /// CIDR is not in use yet.
    pub fn degraded(&self) -> Option<Reason> {
        health::degraded(&self.state)
    }

    /// Checks that the kernel still has bridge, table, and what leads to pods, and recreates what was removed; removes host ends of pods
    /// that no longer exist when two checks in a row find them. `stale` is the result of the last check.
    ///
    /// # Errors
    /// The error of what could not be recreated; the next check retries.
    pub async fn reconcile(&self, stale: &HashSet<String>) -> Result<HashSet<String>, NetworkError> {
        reconcile(&self.state, stale).await
    }

    /// Uses kubelet's pod CIDR (`"v4"`, `"v6"` or `"v4,v6"`) as the pods' subnet when none is configured: at once, or
    /// when no pod lives in a different one any more. It is recorded either way.
    ///
    /// # Errors
    /// [`NetworkError::Config`] when it is not a CIDR; [`NetworkError::Record`] when it cannot be recorded.
    pub async fn set_pod_cidr(&self, pod_cidr: &str) -> Result<CidrOutcome, NetworkError> {
        pod_cidr::set(&self.state, pod_cidr).await
    }

    /// Removes bridge and table when no pod uses them, for a clean shutdown; returns whether they are gone.
    ///
    /// # Errors
    /// [`NetworkError::Nft`], [`NetworkError::Netlink`]; another call, or the next start, finishes the job.
    pub async fn remove_if_unused(&self) -> Result<bool, NetworkError> {
        let mut table = self.state.table().await?;
        Ok(making::remove(&self.state, &mut table).await? && !self.state.with_pods(|pods| pods.need_table()))
    }

    /// The subnets of the built-in network's pods, IPv4 and IPv6, and those that they are to have.
    pub fn reserved_subnets(&self) -> Vec<IpNet> {
        self.state.reserved_subnets()
    }

    /// The bridge with its addresses and its MTU, for people; `None` before the first pod.
    pub fn bridge(&self) -> Option<Bridge> {
        let known = self.state.known();
        let (record, gateways) = (known.record.as_ref()?, known.pods.gateways());
        Some(Bridge { name: record.bridge.clone(), gateways, mtu: known.bridge.as_ref().map(|ready| ready.mtu) })
    }

    /// Counts the pods that have an address of the built-in network, and all host ports that are reserved.
    pub fn count(&self) -> (usize, usize) {
        self.state.with_pods(|pods| pods.count())
    }
}

/// A `prepare` in flight.
struct Preparing(Arc<State>);

impl Preparing {
    fn begin(state: Arc<State>) -> Self {
        state.known().preparing += 1;
        Self(state)
    }
}

impl Drop for Preparing {
    fn drop(&mut self) {
        self.0.known().preparing -= 1;
    }
}
