// SPDX-License-Identifier: Apache-2.0
//! The start: finds the network of the daemon before this one, and the pods that live in it. What fails is told by
//! `status` and goes on later; until then no pod gets an address, for it could be another's.

use super::netlink::Rtnl;
use super::node::{Failure, Shared, TableGuard, blocking};
use super::record::{Origin, Record};
use super::{LivePod, NetworkError, names};
use ipnet::IpNet;

impl Shared {
    /// Takes live pods over and brings bridge and table in line. Without pods only what a killed daemon left is looked
    /// after; a clean node stays untouched. What fails is kept for `status`, and tried again.
    pub(super) async fn take_over(&self, live: &[LivePod]) {
        self.state().owed = Some(live.to_vec());
        let done = match self.table().await {
            Ok(mut table) => self.resume(&mut table).await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::error!(%error, "the network could not be brought in line, it will be tried again");
        }
    }

    /// Goes on with what a start or an earlier try did not get done.
    pub(super) async fn resume(&self, table: &mut TableGuard<'_>) -> Result<(), NetworkError> {
        match self.catch_up().await {
            Ok(true) => self.make(table).await,
            Ok(false) => Ok(()),
            Err(error) => {
                self.state().bridge_failure = Some(Failure::new(&error));
                Err(error)
            }
        }
    }

    /// Does what a start owes, once: finds the subnet in which earlier pods live, and holds their addresses and ports.
    /// The caller holds the table. False when there was nothing: no pod, and no bridge.
    pub(super) async fn catch_up(&self) -> Result<bool, NetworkError> {
        let Some(none) = self.state().owed.as_ref().map(Vec::is_empty) else { return Ok(true) };
        let found = self.find_earlier().await?;
        if none && !found {
            let mut state = self.state();
            (state.owed, state.bridge_failure) = (None, None);
            return Ok(false);
        }
        let record = self.state().record.clone();
        match record {
            Some(record) => {
                self.use_subnet(&record)?;
                self.adopt_owed();
            }
            None => self.make_bridge().await?,
        }
        Ok(true)
    }

    /// The pods that lived before this daemon get what they have.
    pub(super) fn adopt_owed(&self) {
        let mut state = self.state();
        let live = state.owed.take().unwrap_or_default();
        for pod in &live {
            for odd in state.pods.as_mut().map(|pods| pods.adopt(pod)).unwrap_or_default() {
                tracing::warn!(pod_id = pod.pod_id, "network: {odd}");
            }
        }
    }

    /// Looks for the bridge of an earlier daemon. When the record is lost, the bridge tells what it said.
    async fn find_earlier(&self) -> Result<bool, NetworkError> {
        let record = self.state().record.clone();
        let derived = || self.config.bridge.clone().unwrap_or_else(|| names::bridge(&self.root, 0));
        let name = record.as_ref().map_or_else(derived, |record| record.bridge.clone());
        let (found, on_bridge) = blocking(move || read_bridge(name)).await?;
        if record.is_none() {
            self.state().record = on_bridge;
        }
        Ok(found)
    }
}

/// Whether there is a bridge of this name, and the record that its addresses stand for.
fn read_bridge(name: String) -> Result<(bool, Option<Record>), NetworkError> {
    let mut rtnl = Rtnl::open()?;
    let Some(link) = rtnl.link(&name)?.filter(|link| link.is_bridge) else { return Ok((false, None)) };
    let nets: Vec<IpNet> = rtnl.addresses()?.into_iter().filter(|(i, _)| *i == link.index).map(|(_, n)| n).collect();
    let v4 = nets.iter().find_map(|net| if let IpNet::V4(net) = net { Some(net.trunc()) } else { None });
    let v6 = nets.iter().find_map(|net| match net {
        IpNet::V6(net) if !net.addr().is_unicast_link_local() => Some(net.trunc()),
        _ => None,
    });
    let origin = Origin::Chosen;
    let table = names::table(&name);
    let record = v4.map(|subnet| Record { table, bridge: name, subnet, subnet6: v6, origin, wanted: None });
    Ok((true, record))
}
