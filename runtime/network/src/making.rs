// SPDX-License-Identifier: Apache-2.0
//! Creates the bridge of a network, and removes bridge and table.

use crate::addresses::Addresses;
use crate::bridge::{Bridge, Ready};
use crate::config::NetworkConfig;
use crate::decide::{Facts, decide};
use crate::error::NetworkError;
use crate::host_ends::{Home, connect_again, host_ends};
use crate::netlink::Rtnl;
use crate::node_lock::NodeLock;
use crate::record::{self, Record};
use crate::state::{State, TableGuard, TableState, blocking};
use crate::{forwarding, table};
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::Path;

/// Decides on the subnet, records it, creates the bridge, and takes over the pods that lived before this start.
///
/// # Errors
/// Those of [`decide`] and [`Bridge::ensure`]; [`NetworkError::NodeLock`], [`NetworkError::Record`].
pub async fn make_bridge(state: &State) -> Result<(), NetworkError> {
    let (config, root) = (state.config.clone(), state.root.clone());
    let (earlier, homes) = {
        let known = state.known();
        (known.record.clone(), known.homes())
    };
    let others = state.others.subnets();
    let (record, ready) = blocking(move || make_blocking(&config, &root, earlier, &homes, others)).await?;
    state.use_subnet(&record)?;
    let mut known = state.known();
    // Earlier pods must have their addresses before a new pod can get one.
    known.adopt_owed();
    known.bridge = Some(ready);
    Ok(())
}

/// Removes bridge and table, unless a pod of the built-in network has a reservation or is about to make one; returns
/// whether the bridge is gone. The table stays as long as it holds host ports of other pods.
///
/// # Errors
/// [`NetworkError::Nft`], [`NetworkError::Netlink`].
pub async fn remove(state: &State, table: &mut TableGuard<'_>) -> Result<bool, NetworkError> {
    let record = {
        let mut known = state.known();
        if !known.is_unused() {
            return Ok(false);
        }
        // From here on a new pod has to recreate the bridge, and waits for us.
        known.bridge = None;
        known.pods.drop_addresses();
        known.blocked = None;
        known.record.clone()
    };
    **table = TableState::Unknown;
    table::remove_if_unused(state).await?;
    if state.config.open_forward {
        forwarding::close(state).await;
    }
    let Some(record) = record else { return Ok(true) };
    blocking(move || Rtnl::open()?.delete_link(&record.bridge)).await?;
    Ok(true)
}

/// Decides, records a new decision, and creates the bridge. Blocking. The node's lock is held until the bridge has its
/// address: from then on other daemons see that the subnet is in use.
fn make_blocking(
    config: &NetworkConfig,
    root: &Path,
    earlier: Option<Record>,
    homes: &[Home],
    others: Vec<IpNet>,
) -> Result<(Record, Ready), NetworkError> {
    let _lock = NodeLock::take()?;
    let mut rtnl = Rtnl::open()?;
    let mut taken = taken_by_others(&mut rtnl, earlier.as_ref())?;
    taken.extend(others);
    let facts = Facts { root, config, earlier: earlier.as_ref(), pods_live: !homes.is_empty(), taken: &taken };
    let record = decide(&facts, |name| Ok(rtnl.link(name)?.is_none()))?;
    if let Some(earlier) = earlier.as_ref().filter(|earlier| **earlier != record) {
        // No pod lives in it, so the bridge of the old decision can be removed.
        rtnl.delete_link(&earlier.bridge)?;
    }
    if earlier.as_ref() != Some(&record) {
        record::save(root, &record)?;
        tracing::info!(bridge = record.bridge, subnets = record.subnets.text(), "network");
    }
    let ready = make_complete(&mut rtnl, config.mtu, &record, homes)?;
    Ok((record, ready))
}

/// Creates whatever is missing of the recorded bridge, and of what connects these pods to it. Blocking.
///
/// # Errors
/// Those of [`Bridge::ensure`].
pub fn make_complete(
    rtnl: &mut Rtnl,
    mtu: Option<u32>,
    record: &Record,
    homes: &[Home],
) -> Result<Ready, NetworkError> {
    let gateways = Addresses::within(record.subnets)?.gateways();
    let mut ready = Bridge { name: record.bridge.clone(), gateways: gateways.clone(), mtu }.ensure(rtnl)?;
    let gateways: Vec<IpAddr> = gateways.iter().map(IpNet::addr).collect();
    ready.has_ports |= connect_again(rtnl, homes, &record.bridge, ready.index, &gateways);
    Ok(ready)
}

/// The node's addresses and routes, without those of our own bridge and of host ends that are still going.
fn taken_by_others(rtnl: &mut Rtnl, earlier: Option<&Record>) -> Result<Vec<IpNet>, NetworkError> {
    let mut own = Vec::new();
    if let Some(record) = earlier {
        let bridge = rtnl.link(&record.bridge)?.map(|link| link.index);
        own = host_ends(rtnl, &record.bridge, bridge)?.into_iter().map(|link| link.index).chain(bridge).collect();
    }
    let addresses = rtnl.addresses()?.into_iter().filter(|(index, _)| !own.contains(index)).map(|(_, net)| net);
    let mut taken: Vec<IpNet> = addresses.collect();
    let routes = rtnl.routes()?.into_iter().filter(|route| route.via.is_none_or(|index| !own.contains(&index)));
    taken.extend(routes.map(|route| route.to));
    Ok(taken)
}
