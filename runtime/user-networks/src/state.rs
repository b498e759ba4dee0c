// SPDX-License-Identifier: Apache-2.0
//! What all handles share, and its two locks: `known` holds the facts and is never held across an await; `work` (async, with
//! a deadline) is held while records, bridges and the table change, so that changes are serialized. Lock order: work, known.

use crate::addresses::Pools;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::member::{Place, Pod};
use crate::network::Network;
use crate::store::Store;
use gorae_shims::Spawner;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, watch};

/// How long one caller waits for the changes of others.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all handles share.
#[derive(Debug)]
pub struct State {
    pub store: Store,
    pub spawner: Spawner,
    pub config: Config,
    /// Name of the nftables table.
    pub table: String,
    known: Mutex<Known>,
    work: AsyncMutex<Work>,
    changed: watch::Sender<u64>,
}

/// The facts.
#[derive(Debug, Default)]
pub struct Known {
    /// Networks by their ids.
    pub networks: BTreeMap<String, Arc<Network>>,
    /// Pods with places in networks, by their ids.
    pub pods: BTreeMap<String, Pod>,
    /// The pods that are attached, or are being attached or detached.
    pub up: BTreeSet<String>,
    pub pools: Pools,
    /// Ids of networks whose records are damaged, with file and reason.
    pub damaged: BTreeMap<String, (PathBuf, String)>,
    /// The same of pods.
    pub damaged_pods: BTreeMap<String, (PathBuf, String)>,
    /// Why the node's side is not as it should be.
    pub failure: Option<String>,
    /// The message for people while a firewall of others drops the traffic of networks.
    pub blocked: Option<String>,
}

impl Known {
    /// The ids of the networks that attached pods are in.
    pub fn in_use(&self) -> BTreeSet<String> {
        let attached = self.up.iter().filter_map(|id| self.pods.get(id));
        attached.flat_map(|pod| &pod.places).map(|place| place.network_id().to_owned()).collect()
    }

    /// All places in a network, with their pods.
    pub fn places<'a>(&'a self, network_id: &'a str) -> impl Iterator<Item = (&'a str, &'a Place)> {
        self.pods.values().filter_map(move |pod| Some((pod.pod_id.as_str(), pod.place(network_id)?)))
    }

    /// The addresses in use in a network, without those of one pod.
    pub fn used_by_others(&self, network_id: &str, pod_id: &str) -> HashSet<IpAddr> {
        let others = self.places(network_id).filter(|(pod, _)| *pod != pod_id);
        others.flat_map(|(_, place)| &place.addresses).map(|net| net.addr()).collect()
    }

    /// Finds a network by name, by id, or by an id's beginning that no other one has.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Ambiguous`]; [`Error::Damaged`] for the whole id of one whose record is.
    pub fn find(&self, name_or_id: &str) -> Result<Arc<Network>> {
        let named = self.networks.values().find(|network| network.name == name_or_id);
        if let Some(network) = named.or_else(|| self.networks.get(name_or_id)) {
            return Ok(network.clone());
        }
        if let Some((path, why)) = self.damaged.get(name_or_id) {
            return Err(Error::Damaged { path: path.clone(), why: why.clone() });
        }
        let mut all = self.networks.values().filter(|network| network.id.starts_with(name_or_id));
        match (all.next().filter(|_| !name_or_id.is_empty()), all.count()) {
            (Some(network), 0) => Ok(network.clone()),
            (Some(_), more) => Err(Error::Ambiguous { prefix: name_or_id.into(), count: more + 1 }),
            (None, _) => Err(Error::NotFound { name: name_or_id.into() }),
        }
    }

    /// Forgets a place, and remembers when its addresses became free.
    pub fn forget(&mut self, pod_id: &str, network_id: &str) {
        let Some(pod) = self.pods.get_mut(pod_id) else { return };
        let gone: Vec<Place> = pod.places.extract_if(.., |place| place.network_id() == network_id).collect();
        self.free(&gone);
    }

    /// Forgets a pod.
    pub fn forget_pod(&mut self, pod_id: &str) -> bool {
        let Some(pod) = self.pods.remove(pod_id) else { return false };
        self.free(&pod.places);
        true
    }

    /// Remembers that a new place has its addresses, if nobody asked for them: the next ones are chosen behind them.
    pub fn take(&mut self, place: &Place) {
        for net in place.addresses.iter().filter(|net| place.wish.address(net.addr().is_ipv4()).is_none()) {
            self.pools.take(*net, net.addr());
        }
    }

    fn free(&mut self, places: &[Place]) {
        for place in places {
            for net in &place.addresses {
                self.pools.release(*net, net.addr(), place.names.first());
            }
        }
    }
}

/// What is known of the table.
#[derive(Debug, Default)]
pub struct Work {
    /// Its text as it was written last; `None` when that is not known.
    pub written: Option<String>,
}

/// The right to change records, bridges and the table.
pub type WorkGuard<'a> = AsyncMutexGuard<'a, Work>;

impl State {
    /// Without networks.
    pub fn new(store: Store, spawner: Spawner, config: Config, table: String) -> Self {
        let changed = watch::Sender::new(0);
        Self { store, spawner, config, table, known: Mutex::default(), work: AsyncMutex::default(), changed }
    }

    /// Locks the facts. Do not make a blocking call under this lock.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        // A panic under this lock leaves no half-made change behind.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the right to change something.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub async fn work(&self) -> Result<WorkGuard<'_>> {
        let late = Error::Busy { seconds: PATIENCE.as_secs() };
        tokio::time::timeout(PATIENCE, self.work.lock()).await.map_err(|_| late)
    }

    /// Tells those who listen that networks or places changed.
    pub fn notify(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Counts up with each change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

/// Runs work that may wait for the kernel's routing lock outside the async threads.
///
/// # Errors
/// Those of `work`; [`Error::Task`] when it panics.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Task))
}
