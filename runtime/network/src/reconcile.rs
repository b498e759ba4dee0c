// SPDX-License-Identifier: Apache-2.0
//! Looks from time to time whether the kernel still has what was made, and nothing more: others flush tables, remove
//! bridges, and a clean-up can be cut off.

use super::netlink::Rtnl;
use super::node::{Shared, TableGuard, TableState, blocking};
use super::{NetworkError, names, nft};
use std::collections::HashSet;

impl Shared {
    /// Brings bridge, table and host ends back in line, and goes on with what failed. Nothing to do before the first
    /// pod, and while somebody else is at it. `stale` are the host ends that the last look found without a pod; those
    /// of this one come back.
    ///
    /// - Errors: those of what had to be made anew; the next look tries again.
    pub(super) async fn reconcile(&self, stale: &HashSet<String>) -> Result<HashSet<String>, NetworkError> {
        self.make_way();
        let Some(mut table) = self.table_if_free() else { return Ok(HashSet::new()) };
        if self.state().bridge_failure.is_some() {
            self.resume(&mut table).await?;
        }
        let (Some(bridge), Some(record)) = ({ self.state().bridge }, { self.state().record.clone() }) else {
            return Ok(HashSet::new());
        };
        if !self.is_made() {
            tracing::warn!(bridge = record.bridge, "somebody removed the bridge; it is made again");
            self.make(&mut table).await?;
            return Ok(HashSet::new());
        }
        self.look_after_table(&mut table, record.table).await?;
        drop(table);
        let now = self.without_pod(bridge.index).await?;
        let twice: Vec<String> = now.intersection(stale).cloned().collect();
        blocking(move || twice.iter().try_for_each(|name| remove(name))).await?;
        Ok(now)
    }

    /// Writes the table when it is not there, or when it could not be written.
    async fn look_after_table(&self, table: &mut TableGuard<'_>, name: String) -> Result<(), NetworkError> {
        if **table == TableState::Unknown {
            // A failure is kept for `degraded`, which tells a new one once.
            let _ = self.write_table(table).await;
            return Ok(());
        }
        let wanted = name.clone();
        let there = blocking(move || nft::has_table(&wanted).map_err(|e| nft::NftError::Run(e.to_string()).into()));
        if !there.await? {
            tracing::warn!(table = name, "somebody removed the table of host ports; it is written again");
            self.write_table(table).await?;
        }
        Ok(())
    }

    /// Host ends in our bridge that are no pod's: being made or removed, or left behind.
    async fn without_pod(&self, bridge: u32) -> Result<HashSet<String>, NetworkError> {
        let ports = blocking(move || Rtnl::open()?.ports(bridge)).await?;
        let own = self.with_pods(|pods| pods.host_interfaces()).unwrap_or_default();
        Ok(ports.into_iter().filter(|name| names::is_host_interface(name) && !own.contains(name)).collect())
    }
}

fn remove(interface: &str) -> Result<(), NetworkError> {
    tracing::warn!(interface, "removing an interface that is no pod's");
    Rtnl::open()?.delete_link(interface)
}
