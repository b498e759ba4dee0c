// SPDX-License-Identifier: Apache-2.0
//! The handle's steps for host ports: those of a pod of the built-in network, which are reserved with its address, and those
//! of a pod whose addresses come from elsewhere.

use crate::binding::{Binding, Place};
use crate::error::NetworkError;
use crate::holder::name_holder;
use crate::network::Network;
use crate::pods::Mapper;
use crate::ports::HostPort;
use crate::state::{TableState, blocking};
use crate::{conntrack, loopback, table, way};
use gorae_proto::cri;
use std::net::IpAddr;

impl Network {
    /// Reserves the host ports of a pod whose addresses come from elsewhere, in both families where a mapping leaves it open,
    /// before anything of the pod is made. A bridge is neither needed nor made.
    ///
    /// - Shapes: a second call for the same pod changes nothing. With [`Mapper::Plugin`] the ports are only held. Ends like
    ///   [`prepare`](Self::prepare), with [`withdraw`](Self::withdraw) and [`release`](Self::release). Nothing is durable:
    ///   the next daemon hears of it as [`LivePod`](crate::LivePod).
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
        loopback::know(&mut self.state.known(), &ways, &bindings);
        if let Err(error) = table::change(&self.state, |rules| rules.add(&bindings)).await {
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
}

/// Drops the UDP flows to host ports that were opened or closed. If this fails, they expire by themselves later.
async fn forget_flows(pod_id: &str, bindings: &[Binding]) {
    let places: Vec<Place> = bindings.iter().map(|binding| binding.place).collect();
    if let Err(error) = blocking(move || conntrack::forget_udp(&places)).await {
        tracing::debug!(pod_id, %error, "cannot drop the tracked flows to host ports");
    }
}
