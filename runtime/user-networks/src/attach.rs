// SPDX-License-Identifier: Apache-2.0
//! Gives a pod its interfaces, and takes them away.

use crate::error::{Error, Result};
use crate::member::{Besides, Place, Pod};
use crate::network::Network;
use crate::settle::{provide, settle};
use crate::state::{State, blocking};
use crate::{bridge, names};
use gorae_network::netlink::Rtnl;
use gorae_proto::shim::{BridgedInterface, ChangeNetworks};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Makes all interfaces of a pod.
///
/// # Errors
/// [`Error::NoNft`], [`Error::Node`], [`Error::Shim`] and those of the bridge. Then none of the interfaces is left.
pub async fn attach(state: &State, pod_id: &str, netns: &Path) -> Result<()> {
    let Some(pod) = state.known().pods.get(pod_id).cloned() else { return Ok(()) };
    let done = match prepare(state, &pod, netns).await {
        Ok(()) => change(state, &pod, netns, &pod.places, &[]).await,
        Err(error) => Err(error),
    };
    if done.is_err() {
        // The first failure is the one to report; the node's next look finds what is left.
        let _ = detach(state, pod_id).await;
    }
    done
}

/// Records where the pod is, then makes table and bridges.
///
/// # Errors
/// Those of [`provide`]; [`Error::Record`].
pub async fn prepare(state: &State, pod: &Pod, netns: &Path) -> Result<()> {
    if !gorae_network::nft::is_installed() {
        return Err(Error::NoNft);
    }
    let mut work = state.work().await?;
    if pod.netns.as_deref() != Some(netns) {
        let now = Pod { netns: Some(netns.to_owned()), ..pod.clone() };
        state.store.write_pod(&now).await?;
        state.known().pods.insert(pod.pod_id.clone(), now);
    }
    state.known().up.insert(pod.pod_id.clone());
    let wanted: BTreeSet<String> = pod.places.iter().map(|place| place.network_id().to_owned()).collect();
    provide(state, &mut work, &wanted).await
}

/// Has the shim add interfaces for `add`, remove those of `remove`, and set the pod's default routes.
///
/// # Errors
/// [`Error::Shim`]; [`Error::NotFound`] when the record of a network is gone.
pub async fn change(state: &State, pod: &Pod, netns: &Path, add: &[Place], remove: &[Place]) -> Result<()> {
    let networks = {
        let known = state.known();
        let of = |place: &Place| {
            let network = known.networks.get(place.network_id());
            network.cloned().ok_or_else(|| Error::NotFound { name: place.network.clone() })
        };
        add.iter().map(of).collect::<Result<Vec<Arc<Network>>>>()?
    };
    let mtus = mtus(&networks).await?;
    let request = ChangeNetworks {
        netns: netns.to_string_lossy().into_owned(),
        add: networks.iter().zip(add).map(|(network, place)| interface(state, network, place, &mtus)).collect(),
        remove: remove.iter().map(|place| place.host_interface.clone()).collect(),
        default_gateways: pod.default_gateways().iter().map(ToString::to_string).collect(),
        keep_default_routes: pod.besides == Besides::DefaultNetwork,
    };
    let done = gorae_shims::change_networks(&state.spawner, &pod.pod_id, request).await;
    done.map_err(|source| Error::Shim { pod_id: pod.pod_id.clone(), source })
}

fn interface(state: &State, network: &Network, place: &Place, mtus: &BTreeMap<String, u32>) -> BridgedInterface {
    BridgedInterface {
        bridge: network.bridge.clone(),
        host_interface: place.host_interface.clone(),
        interface: place.interface.clone(),
        addresses: place.addresses.iter().map(ToString::to_string).collect(),
        mac: place.mac.to_vec(),
        host_mac: names::hardware(&state.table, &place.host_interface).to_vec(),
        mtu: mtus.get(&network.bridge).copied().unwrap_or_default(),
        isolated: network.isolated,
    }
}

/// The MTUs of bridges: their ports have the same.
async fn mtus(networks: &[Arc<Network>]) -> Result<BTreeMap<String, u32>> {
    let bridges: Vec<String> = networks.iter().map(|network| network.bridge.clone()).collect();
    if bridges.is_empty() {
        return Ok(BTreeMap::new());
    }
    blocking(move || {
        let mut rtnl = Rtnl::open()?;
        let mut mtus = BTreeMap::new();
        for bridge in bridges {
            if let Some(link) = rtnl.link(&bridge)? {
                mtus.insert(bridge, link.mtu);
            }
        }
        Ok(mtus)
    })
    .await
}

/// Takes all interfaces of a pod away, and what is no longer needed with them.
///
/// # Errors
/// [`Error::Node`].
pub async fn detach(state: &State, pod_id: &str) -> Result<()> {
    let ends = {
        let known = state.known();
        match known.pods.get(pod_id) {
            Some(pod) => pod.places.iter().map(|place| place.host_interface.clone()).collect(),
            None if known.damaged_pods.contains_key(pod_id) => {
                let ids = known.networks.keys().chain(known.damaged.keys());
                ids.map(|id| names::host_interface(pod_id, id)).collect()
            }
            None => return Ok(()),
        }
    };
    let mut work = state.work().await?;
    unplug(ends).await?;
    let unused = {
        let mut known = state.known();
        let before = known.in_use();
        known.up.remove(pod_id) && known.in_use() != before
    };
    // As long as a network has other pods, nothing changes for them.
    if unused || state.known().damaged_pods.contains_key(pod_id) {
        // The pod has nothing left on the node. What others have is for the next look, and kept for `degraded`.
        let _ = settle(state, &mut work).await;
    }
    Ok(())
}

/// Removes host ends, and the pods' ends with them.
///
/// # Errors
/// [`Error::Node`].
pub async fn unplug(ends: Vec<String>) -> Result<()> {
    blocking(move || bridge::delete_all(&mut Rtnl::open()?, ends)).await
}
