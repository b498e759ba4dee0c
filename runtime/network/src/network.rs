// SPDX-License-Identifier: Apache-2.0
//! The handle of the built-in network, with the steps of a pod's life in it.

use crate::binding::{Binding, Place};
use crate::config::NetworkConfig;
use crate::error::NetworkError;
use crate::health::{self, Reason};
use crate::pod_cidr::{self, CidrOutcome};
use crate::pods::{Lease, LivePod, Mapper};
use crate::ports::HostPort;
use crate::reconcile::reconcile;
use crate::state::{Known, State, TableState, blocking};
use crate::take_over::{make, take_over};
use crate::{conntrack, making, reservation, table, way};
use gorae_proto::{cri, shim};
use ipnet::IpNet;
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// Name of a pod's interface inside its namespace.
const POD_INTERFACE: &str = "eth0";

/// What a pod gets: the shim's part, and the addresses for the pod's record and status.
#[derive(Debug, Clone, PartialEq)]
pub struct PodNetworkPlan {
    /// For `SetupPod.network`.
    pub network: shim::PodNetwork,
    /// The pod's addresses, IPv4 first.
    pub ips: Vec<IpAddr>,
}

impl PodNetworkPlan {
    fn new(bridge: String, mtu: u32, lease: Lease) -> Self {
        let ips = lease.addresses.iter().map(IpNet::addr).collect();
        let network = shim::PodNetwork {
            bridge,
            host_interface: lease.host_interface,
            interface: POD_INTERFACE.into(),
            addresses: lease.addresses.iter().map(ToString::to_string).collect(),
            gateways: lease.gateways.iter().map(ToString::to_string).collect(),
            mtu,
        };
        Self { network, ips }
    }
}

/// The built-in network of one daemon. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Network {
    state: Arc<State>,
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
        let state = Arc::new(State::open(config, root_dir)?);
        take_over(&state, live).await;
        Ok(Self { state })
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
            Ok(plan) => Ok(plan),
        }
    }

    /// Reserves the host ports of a pod whose addresses come from elsewhere, in both families where a mapping leaves it open,
    /// before anything of the pod is made. A bridge is neither needed nor made.
    ///
    /// - Shapes: a second call for the same pod changes nothing. With [`Mapper::Plugin`] the ports are only held. Ends like
    ///   [`prepare`](Self::prepare), with [`withdraw`](Self::withdraw) and [`release`](Self::release). Nothing is durable:
    ///   the next daemon hears of it as [`LivePod`].
    ///
    /// # Errors
    /// [`NetworkErrorKind::InvalidArgument`](crate::NetworkErrorKind) for mappings that are not valid, `AlreadyExists` for a
    /// host port that is in use, those of nft when it is to map; then nothing is reserved.
    pub async fn reserve_ports(
        &self,
        pod_id: &str,
        mappings: &[cri::PortMapping],
        mapper: Mapper,
    ) -> Result<(), NetworkError> {
        let host_ports = HostPort::read_all(mappings)?;
        if let Err(error) = self.state.with_pods(|pods| pods.reserve_ports(pod_id, &host_ports, mapper)) {
            return Err(name_holder(error).await);
        }
        if mapper == Mapper::Plugin || host_ports.is_empty() {
            return Ok(());
        }
        // UDP flows are tracked, and can be forgotten, only once the table is there.
        let made = match self.state.table().await {
            Ok(mut table) if *table == TableState::Unknown => table::write(&self.state, &mut table).await,
            other => other.map(drop),
        };
        made.inspect_err(|_| self.release(pod_id))
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

    /// Opens the pod's host ports, once the pod is up. Costs nothing for a pod without any.
    ///
    /// # Errors
    /// [`NetworkError::NotPrepared`], [`NetworkError::Nft`]; then the ports are not open.
    pub async fn publish(&self, pod_id: &str) -> Result<(), NetworkError> {
        let targets = self.state.with_pods(|pods| pods.targets(pod_id))?;
        if targets.is_empty() {
            return Ok(());
        }
        let ways = way::find(targets).await;
        let bindings = self.state.with_pods(|pods| {
            pods.know_ways(&ways);
            pods.want(pod_id)
        })?;
        let opened = match table::change(&self.state, |rules| rules.add(&bindings)).await {
            Ok(()) => table::route_loopback(&ways, &bindings),
            Err(error) => Err(error),
        };
        if let Err(error) = opened {
            self.state.with_pods(|pods| pods.unwant(pod_id));
            return Err(error);
        }
        forget_flows(pod_id, &bindings).await;
        Ok(())
    }

    /// Opens the host ports of a pod whose addresses come from elsewhere, at the first address of each family. Ports of a
    /// family that the pod does not have are free again. Ports that a plugin maps are left to it.
    ///
    /// # Errors
    /// [`NetworkErrorKind::InvalidArgument`](crate::NetworkErrorKind) when the pod has no address of a host address's family;
    /// otherwise as [`publish`](Self::publish). Then the ports are not open.
    pub async fn publish_at(&self, pod_id: &str, addresses: &[IpAddr]) -> Result<(), NetworkError> {
        self.state.with_pods(|pods| pods.settle(pod_id, addresses))?;
        self.publish(pod_id).await
    }

    /// Closes the pod's host ports and releases them, before the pod's namespace is removed. Idempotent.
    ///
    /// # Errors
    /// [`NetworkError::Nft`]: the pod keeps the ports. The caller may retry, or go on and [`release`](Self::release):
    /// the address then stays out of use until the table has been rewritten.
    pub async fn withdraw(&self, pod_id: &str) -> Result<(), NetworkError> {
        let bindings = self.state.with_pods(|pods| pods.unwant(pod_id));
        if bindings.is_empty() {
            return Ok(());
        }
        table::change(&self.state, |rules| rules.delete(&bindings)).await?;
        self.state.with_pods(|pods| pods.removed(pod_id));
        forget_flows(pod_id, &bindings).await;
        Ok(())
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

    /// Reports what is wrong although pods can be created; `None` when all is well. Either pods are not masqueraded and
    /// host ports are refused, or kubelet's pod CIDR is not in use yet.
    pub fn degraded(&self) -> Option<Reason> {
        health::degraded(&self.state)
    }

    /// Checks that the kernel still has bridge and table, and recreates what was removed; removes host ends of pods
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

/// Drops the UDP flows to host ports that were opened or closed. If this fails, they expire by themselves later.
async fn forget_flows(pod_id: &str, bindings: &[Binding]) {
    let places: Vec<Place> = bindings.iter().map(|binding| binding.place).collect();
    if let Err(error) = blocking(move || conntrack::forget_udp(&places)).await {
        tracing::debug!(pod_id, %error, "cannot drop the tracked flows to host ports");
    }
}

/// Adds the name of the process that has the port to the error, if it is about one and can be found.
async fn name_holder(error: NetworkError) -> NetworkError {
    let place = match &error {
        NetworkError::HostPortTaken { place, holder } if holder == reservation::SOME_PROCESS => *place,
        _ => return error,
    };
    match blocking(move || Ok(reservation::holder(&place))).await.ok().flatten() {
        Some(holder) => NetworkError::HostPortTaken { place, holder },
        None => error,
    }
}
