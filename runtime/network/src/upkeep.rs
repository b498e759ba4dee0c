// SPDX-License-Identifier: Apache-2.0
//! Brings the kernel in line with what pods need: decides and records, makes the bridge, writes the table, removes both.

use super::addresses::Addresses;
use super::bridge::{Bridge, Ready};
use super::decide::{Facts, decide};
use super::netlink::Rtnl;
use super::node::{Failure, Shared, TableGuard, TableState, blocking};
use super::node_lock::NodeLock;
use super::record::{self, Record};
use super::rules::Table;
use super::{NetworkConfig, NetworkError, Reason, nft, sysctl};
use ipnet::IpNet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long after a failure the next try in the background may be made.
const RETRY: Duration = Duration::from_secs(10);

impl Shared {
    /// Makes the bridge, then writes the table if that is due. Failures are kept for `status` and `degraded`; only a
    /// failure of the bridge is one of this.
    pub(super) async fn make(&self, table: &mut TableGuard<'_>) -> Result<(), NetworkError> {
        let before = self.state().bridge;
        let made = match self.catch_up().await {
            Ok(_) => self.make_bridge().await,
            Err(error) => Err(error),
        };
        self.state().bridge_failure = made.as_ref().err().map(Failure::new);
        made?;
        if **table == TableState::Unknown || self.state().bridge != before {
            // Kept for `degraded`; a pod without host ports does not need to fail for it.
            let _ = self.write_table(table).await;
        }
        Ok(())
    }

    pub(super) async fn make_bridge(&self) -> Result<(), NetworkError> {
        let (config, root) = (self.config.clone(), self.root.clone());
        let (earlier, ports) = {
            let state = self.state();
            (state.record.clone(), state.host_interfaces())
        };
        let (record, ready) = blocking(move || make_bridge(&config, &root, earlier, &ports)).await?;
        self.use_subnet(&record)?;
        // Before anybody new can get an address.
        self.adopt_owed();
        self.state().bridge = Some(ready);
        Ok(())
    }

    /// Applies a small change; when it does not work out, the whole table is written as it should be.
    pub(super) async fn change_table(&self, change: impl FnOnce(&Table<'_>) -> String) -> Result<(), NetworkError> {
        let mut table = self.table().await?;
        if *table == TableState::Written {
            let script = self.state().record.as_ref().map(|record| change(&rules(record)));
            match nft::apply(&script.ok_or(NetworkError::NotMade)?).await {
                Ok(()) => return Ok(()),
                // Somebody flushed the table, or an earlier change was cut off.
                Err(error) => tracing::debug!(%error, "the table is not as expected, it is written anew"),
            }
        }
        self.write_table(&mut table).await
    }

    /// Writes the whole table in one transaction, then lets loopback traffic over the bridge.
    pub(super) async fn write_table(&self, table: &mut TableGuard<'_>) -> Result<(), NetworkError> {
        **table = TableState::Unknown;
        let record = self.state().record.clone().ok_or(NetworkError::NotMade)?;
        let (bindings, holding) = self.with_pods(|pods| pods.wanted()).unwrap_or_default();
        let written = match nft::apply(&rules(&record).replace(&bindings)).await {
            Ok(()) => sysctl::route_loopback(&record.bridge),
            Err(error) => Err(error.into()),
        };
        self.note_table(&written);
        written?;
        self.with_pods(|pods| pods.rewritten(&holding));
        **table = TableState::Written;
        Ok(())
    }

    /// Keeps how writing the table went; a new reason is logged once, not at every try.
    fn note_table(&self, written: &Result<(), NetworkError>) {
        let failure = written.as_ref().err().map(Failure::new);
        let before = std::mem::replace(&mut self.state().table_failure, failure.clone());
        match (before, failure) {
            (before, Some(now)) if before.as_ref().is_none_or(|before| before.message != now.message) => {
                tracing::warn!(error = now.message, "pods are not masqueraded and host ports are not available");
            }
            (Some(_), None) => tracing::info!("masquerade and host ports work again"),
            _ => {}
        }
    }

    /// See [`super::Network::remove_if_unused`].
    pub(super) async fn remove_if_unused(&self) -> Result<bool, NetworkError> {
        let mut table = self.table().await?;
        self.remove(&mut table).await
    }

    /// Removes table and bridge, unless a pod has or is about to get something.
    pub(super) async fn remove(&self, table: &mut TableGuard<'_>) -> Result<bool, NetworkError> {
        let record = {
            let mut state = self.state();
            if !state.is_unused() {
                return Ok(false);
            }
            // From here on a new pod has to make the bridge again, and waits for us.
            state.bridge = None;
            state.pods = None;
            state.record.clone()
        };
        let Some(record) = record else { return Ok(true) };
        **table = TableState::Unknown;
        if nft::is_installed() {
            nft::apply(&rules(&record).remove()).await?;
        }
        blocking(move || Rtnl::open()?.delete_link(&record.bridge)).await?;
        Ok(true)
    }

    /// See [`super::Network::status`].
    pub(super) fn status(self: &Arc<Self>) -> Result<(), Reason> {
        let mut state = self.state();
        let failures = [state.bridge_failure.as_ref(), state.table_failure.as_ref()];
        if failures.into_iter().flatten().any(|failure| failure.at.elapsed() > RETRY) {
            let now = Instant::now();
            state.bridge_failure.iter_mut().for_each(|failure| failure.at = now);
            state.table_failure.iter_mut().for_each(|failure| failure.at = now);
            tokio::spawn(Self::retry(self.clone()));
        }
        let message = state.bridge_failure.as_ref().map(|failure| failure.message.clone());
        message.map_or(Ok(()), |message| Err(Reason { reason: "NetworkNotReady", message }))
    }

    /// Tries again what failed. A node without pods and without a bridge only looks for nft.
    async fn retry(self: Arc<Self>) {
        let Some(mut table) = self.table_if_free() else { return };
        let nothing_made = {
            let state = self.state();
            state.bridge.is_none() && state.bridge_failure.is_none()
        };
        if nothing_made {
            let found = if nft::is_installed() { Ok(()) } else { Err(nft::NftError::Missing.into()) };
            self.note_table(&found);
        } else if let Err(error) = self.resume(&mut table).await {
            tracing::debug!(%error, "the network is still not in line");
        }
    }

    /// See [`super::Network::degraded`].
    pub(super) fn degraded(&self) -> Option<Reason> {
        let failure = self.state().table_failure.clone();
        let table = failure.map(|failure| Reason { reason: "HostPortsUnavailable", message: failure.message });
        match (table, self.waiting_reason()) {
            (Some(table), Some(cidr)) => {
                Some(Reason { message: format!("{}; {}", table.message, cidr.message), ..table })
            }
            (table, cidr) => table.or(cidr),
        }
    }
}

/// The table's text for a record.
fn rules(record: &Record) -> Table<'_> {
    Table { name: &record.table, bridge: &record.bridge, subnet: record.subnet, subnet6: record.subnet6 }
}

/// Decides, records what is new, and makes the bridge. Blocking. The node's lock is held until the bridge has its
/// address: from then on other daemons see that the subnet is taken.
fn make_bridge(
    config: &NetworkConfig,
    root: &Path,
    earlier: Option<Record>,
    ports: &[String],
) -> Result<(Record, Ready), NetworkError> {
    let _lock = NodeLock::take()?;
    let mut rtnl = Rtnl::open()?;
    let taken = taken_by_others(&mut rtnl, earlier.as_ref())?;
    let facts = Facts { root, config, earlier: earlier.as_ref(), pods_live: !ports.is_empty(), taken: &taken };
    let record = decide(&facts, |name| Ok(rtnl.link(name)?.is_none()))?;
    if let Some(earlier) = earlier.as_ref().filter(|earlier| **earlier != record) {
        // No pod lives in it: the bridge of the old decision may go.
        rtnl.delete_link(&earlier.bridge)?;
    }
    if earlier.as_ref() != Some(&record) {
        record::save(root, &record)?;
        tracing::info!(bridge = record.bridge, subnet = %record.subnet, "network");
    }
    let gateways = Addresses::new(record.subnet, record.subnet6)?.gateways();
    let ready = Bridge { name: record.bridge.clone(), gateways, mtu: config.mtu }.ensure(&mut rtnl)?;
    if ready.created {
        reattach(&mut rtnl, ports, ready.index);
    }
    Ok((record, ready))
}

/// Somebody removed the bridge under live pods: their host ends are still there, without it.
fn reattach(rtnl: &mut Rtnl, ports: &[String], bridge: u32) {
    for port in ports {
        if let Err(error) = rtnl.make_port(port, bridge) {
            tracing::debug!(%error, "not a port of the new bridge");
        }
    }
}

/// The node's addresses and routes, without those of our own bridge.
fn taken_by_others(rtnl: &mut Rtnl, earlier: Option<&Record>) -> Result<Vec<IpNet>, NetworkError> {
    let own = match earlier {
        Some(record) => rtnl.link(&record.bridge)?.map(|link| link.index),
        None => None,
    };
    let addresses = rtnl.addresses()?.into_iter().filter(|(index, _)| Some(*index) != own).map(|(_, net)| net);
    let mut taken: Vec<IpNet> = addresses.collect();
    let routes = rtnl.routes()?.into_iter().filter(|route| own.is_none() || route.via != own);
    taken.extend(routes.map(|route| route.to));
    Ok(taken)
}
