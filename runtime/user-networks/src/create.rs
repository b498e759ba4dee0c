// SPDX-License-Identifier: Apache-2.0
//! Makes a network: checks what is wanted, chooses what was left open, and records it.

use crate::definition::Definition;
use crate::error::{Error, Result};
use crate::facts::{self, Holder, Taken};
use crate::names;
use crate::network::{Network, Subnet};
use crate::options::Options;
use crate::state::{State, blocking};
use crate::subnets;
use gorae_network::netlink::Rtnl;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Makes a network.
///
/// # Errors
/// [`Error::Invalid`], [`Error::Exists`], [`Error::Overlap`], [`Error::NoFreeSubnet`], [`Error::Damaged`],
/// [`Error::ForeignBridge`], [`Error::Record`].
pub async fn create(state: &State, wish: Definition) -> Result<Arc<Network>> {
    let options = wish.check()?;
    let _work = state.work().await?;
    refuse_name(state, &wish.name)?;
    let id = random_id()?;
    let bridge = options.bridge.clone().unwrap_or_else(|| names::bridge(&id));
    refuse_bridge(state, &bridge, &wish.name).await?;
    let taken = taken(state).await?;
    let subnets = subnets_of(&wish, &taken)?;
    let network = Arc::new(assemble(id, bridge, wish, options, subnets));
    state.store.write_network(&network).await?;
    state.known().networks.insert(network.id.clone(), network.clone());
    state.notify();
    tracing::info!(network = network.name, id = network.id, "network made");
    Ok(network)
}

/// A damaged record may be that of a network with the name, and of the subnet that would be chosen.
fn refuse_name(state: &State, name: &str) -> Result<()> {
    let known = state.known();
    if known.networks.values().any(|network| network.name == name) {
        return Err(Error::Exists { name: name.to_owned() });
    }
    match known.damaged.values().next() {
        Some((path, why)) => Err(Error::Damaged { path: path.clone(), why: why.clone() }),
        None => Ok(()),
    }
}

async fn refuse_bridge(state: &State, bridge: &str, network: &str) -> Result<()> {
    let foreign = || Error::ForeignBridge { name: bridge.to_owned(), network: network.to_owned() };
    if state.known().networks.values().any(|network| network.bridge == bridge) {
        return Err(foreign());
    }
    let name = bridge.to_owned();
    let there = blocking(move || Ok(Rtnl::open()?.link(&name)?.is_some())).await?;
    if there { Err(foreign()) } else { Ok(()) }
}

/// All that a new subnet must not overlap.
async fn taken(state: &State) -> Result<Vec<Taken>> {
    let mut taken: Vec<Taken> = {
        let known = state.known();
        let of = |network: &Arc<Network>| {
            let by = Holder::Network(network.name.clone());
            network.subnets.iter().map(|subnet| Taken { net: subnet.subnet, by: by.clone() }).collect::<Vec<_>>()
        };
        known.networks.values().flat_map(of).collect()
    };
    taken.extend(state.config.avoided().into_iter().map(|net| Taken { net, by: Holder::BuiltIn }));
    taken.extend(blocking(|| facts::of_node(&mut Rtnl::open()?, None)).await?);
    Ok(taken)
}

fn subnets_of(wish: &Definition, taken: &[Taken]) -> Result<Vec<Subnet>> {
    let given = |v4: bool| wish.subnets.iter().find(|subnet| subnet.is_v4() == v4);
    let mut subnets = Vec::new();
    match given(true) {
        Some(subnet) => subnets.push(subnets::given(subnet, taken)?),
        None if wish.ipv4 => subnets.push(subnets::choose_v4(taken)?),
        None => {}
    }
    match given(false) {
        Some(subnet) => subnets.push(subnets::given(subnet, taken)?),
        None if wish.ipv6 => subnets.push(subnets::choose_v6(taken, random)?),
        None => {}
    }
    Ok(subnets)
}

fn assemble(id: String, bridge: String, wish: Definition, options: Options, subnets: Vec<Subnet>) -> Network {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Network {
        id,
        name: wish.name,
        created_at: i64::try_from(now.as_nanos()).unwrap_or(i64::MAX),
        subnets,
        internal: wish.internal,
        mtu: options.mtu,
        labels: wish.labels,
        options: wish.options,
        bridge,
        isolated: !options.icc,
        masquerade: options.masquerade,
    }
}

fn random_id() -> Result<String> {
    let mut bytes = [0; 32];
    random(&mut bytes)?;
    Ok(hex::encode(bytes))
}

fn random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| Error::Random(error.to_string()))
}
