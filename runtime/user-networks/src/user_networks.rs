// SPDX-License-Identifier: Apache-2.0
//! The handle, with everything that can be done to networks and to the places of pods in them.

use crate::config::Config;
use crate::definition::Definition;
use crate::error::{Error, Result};
use crate::member::{Besides, Membership, Pod};
use crate::network::Network;
use crate::state::{Known, State};
use crate::store::Store;
use crate::wish::Wish;
use crate::{attach, choose, connect, create, reconcile, remove, reserve, start};
use gorae_shims::Spawner;
use ipnet::IpNet;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// The networks of one daemon. Clones are handles to the same ones.
///
/// Calls for one pod do not overlap: the caller holds that pod's lock.
#[derive(Debug, Clone)]
pub struct UserNetworks {
    state: Arc<State>,
}

/// A network, and who is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The network.
    pub network: Arc<Network>,
    /// The pods in it, by their ids, whether they are up or not.
    pub members: Vec<Member>,
}

/// A pod in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The pod.
    pub pod_id: String,
    /// Its place.
    pub membership: Membership,
}

impl Listed {
    fn of(known: &Known, network: &Arc<Network>) -> Self {
        let member = |(pod_id, place): (&str, &crate::member::Place)| Member {
            pod_id: pod_id.to_owned(),
            membership: place.membership(),
        };
        Self { network: network.clone(), members: known.places(&network.id).map(member).collect() }
    }
}

impl UserNetworks {
    /// Takes over the networks of the previous daemon.
    ///
    /// - Shapes: the records are in `root`, which is made when it is missing. `live` are all pods that may still be in
    ///   networks: those of others are forgotten. What was half done for a live pod is undone. A failure to repair the
    ///   node's side shows in [`degraded`](Self::degraded) and is retried by [`reconcile`](Self::reconcile).
    ///
    /// # Errors
    /// A record cannot be read now, or another program wrote it.
    pub async fn open(root: PathBuf, spawner: Spawner, config: Config, live: &HashSet<String>) -> Result<Self> {
        Ok(Self { state: Arc::new(start::open(root, spawner, config, live).await?) })
    }

    /// The subnets of all networks that have a record in `root`, before they are taken over. Blocking.
    ///
    /// # Errors
    /// As [`open`](Self::open). A directory that is not there has none.
    pub fn recorded_subnets(root: &Path) -> Result<Vec<IpNet>> {
        if !root.exists() {
            return Ok(Vec::new());
        }
        let stored = Store::open(root.to_owned())?.load()?;
        Ok(stored.networks.iter().flat_map(Network::nets).collect())
    }

    /// The subnets of all networks, whether a pod is in them or not.
    pub fn subnets(&self) -> Vec<IpNet> {
        self.state.known().networks.values().flat_map(|network| network.nets()).collect()
    }

    /// Makes a network. Nothing of it is on the node before its first pod.
    ///
    /// # Errors
    /// `InvalidArgument`; `AlreadyExists` for its name; `FailedPrecondition` for a subnet that overlaps another one;
    /// `ResourceExhausted` when no subnet is free.
    pub async fn create(&self, wish: Definition) -> Result<Arc<Network>> {
        create::create(&self.state, wish).await
    }

    /// All networks by name.
    pub fn list(&self) -> Vec<Listed> {
        let known = self.state.known();
        let mut all: Vec<Listed> = known.networks.values().map(|network| Listed::of(&known, network)).collect();
        all.sort_by(|a, b| a.network.name.cmp(&b.network.name));
        all
    }

    /// The networks whose records are damaged, by id, each with what to do about it.
    pub fn damaged(&self) -> Vec<(String, String)> {
        let known = self.state.known();
        let said =
            |(path, why): &(PathBuf, String)| Error::Damaged { path: path.clone(), why: why.clone() }.to_string();
        known.damaged.iter().map(|(id, damage)| (id.clone(), said(damage))).collect()
    }

    /// Finds a network by its name, its id, or the beginning of its id.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` when several ids begin like this; `FailedPrecondition` for the id of one whose record is
    /// damaged.
    pub fn find(&self, name_or_id: &str) -> Result<Listed> {
        let known = self.state.known();
        known.find(name_or_id).map(|network| Listed::of(&known, &network))
    }

    /// Removes a network that no pod is in; returns its name.
    ///
    /// # Errors
    /// As [`find`](Self::find); `FailedPrecondition` while pods are in it, which the error names.
    pub async fn remove(&self, name_or_id: &str) -> Result<String> {
        remove::remove(&self.state, name_or_id).await
    }

    /// Removes all networks that no pod is in; returns their names.
    ///
    /// - Shapes: only those made before `created_before`, nanoseconds since 1970 (0: all), that have all of these labels
    ///   (an empty value stands for any).
    ///
    /// # Errors
    /// The first failure to remove one. The others are removed all the same.
    pub async fn prune(&self, created_before: i64, labels: &BTreeMap<String, String>) -> Result<Vec<String>> {
        remove::prune(&self.state, created_before, labels).await
    }

    /// Chooses interfaces and addresses for a new pod, and records them.
    ///
    /// - Shapes: `names` are names of the pod in all its networks. The interfaces are `eth0` (or `eth1`, if that is taken) and
    ///   so on, by gateway priority, then by name. A second call with the same wishes gives the same result.
    ///
    /// # Errors
    /// `NotFound` for a network; `InvalidArgument`; `FailedPrecondition` and `AlreadyExists` for an address;
    /// `ResourceExhausted`. Then nothing is reserved.
    pub async fn reserve(
        &self,
        pod_id: &str,
        wishes: &[Wish],
        names: &[String],
        besides: Besides,
    ) -> Result<Vec<Membership>> {
        reserve::reserve(&self.state, pod_id, wishes, names, besides).await
    }

    /// Makes the pod's interfaces and routes, and whatever its networks need on the node. It can be repeated.
    ///
    /// # Errors
    /// `FailedPrecondition` without nft; those of the kernel and the shim. Then nothing of the pod is left on the node; what
    /// was reserved stays so.
    pub async fn attach(&self, pod_id: &str, netns: &Path) -> Result<()> {
        attach::attach(&self.state, pod_id, netns).await
    }

    /// Gives a pod one more network. `netns` is that of a pod that is up; otherwise the place is only recorded.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve) and [`attach`](Self::attach); `AlreadyExists` when the pod is in it. Then the pod is
    /// not in the network.
    pub async fn connect(
        &self,
        pod_id: &str,
        netns: Option<&Path>,
        wish: &Wish,
        names: &[String],
        besides: Besides,
    ) -> Result<Membership> {
        connect::connect(&self.state, pod_id, netns, wish, names, besides).await
    }

    /// Checks what a pod wishes for in one more network, as [`connect`](Self::connect) does, and changes nothing.
    ///
    /// # Errors
    /// As there; a network that the pod is in already is fine.
    pub fn check(&self, pod_id: &str, wish: &Wish) -> Result<()> {
        let known = self.state.known();
        let network = known.find(&wish.network)?;
        let pod = Pod { pod_id: pod_id.to_owned(), netns: None, besides: Besides::Nothing, places: Vec::new() };
        choose::choose(&known, &pod, &network, wish, &[]).map(drop)
    }

    /// Takes a network away from a pod.
    ///
    /// # Errors
    /// `NotFound` when the pod is not in it. After those of the kernel and the shim, the call can be repeated.
    pub async fn disconnect(&self, pod_id: &str, netns: Option<&Path>, network: &str) -> Result<()> {
        connect::disconnect(&self.state, pod_id, netns, network).await
    }

    /// Takes a pod's interfaces away, whoever still uses its namespace; then what its networks no longer need on the node.
    /// It can be repeated.
    ///
    /// # Errors
    /// Those of the kernel.
    pub async fn detach(&self, pod_id: &str) -> Result<()> {
        attach::detach(&self.state, pod_id).await
    }

    /// Frees a pod's addresses and forgets it, once its namespace is gone. It can be repeated.
    ///
    /// # Errors
    /// The record cannot be removed.
    pub async fn release(&self, pod_id: &str) -> Result<()> {
        reserve::release(&self.state, pod_id).await
    }

    /// A pod's places, in the order of its interfaces.
    pub fn memberships(&self, pod_id: &str) -> Vec<Membership> {
        let known = self.state.known();
        let places = known.pods.get(pod_id).map(|pod| pod.places.as_slice()).unwrap_or_default();
        places.iter().map(crate::member::Place::membership).collect()
    }

    /// Whether a pod's record is damaged: it may have places that [`memberships`](Self::memberships) does not tell.
    pub fn is_damaged(&self, pod_id: &str) -> bool {
        self.state.known().damaged_pods.contains_key(pod_id)
    }

    /// What was wished for a pod's current networks, which are named; in the order of its interfaces.
    pub fn wishes(&self, pod_id: &str) -> Vec<Wish> {
        let known = self.state.known();
        let places = known.pods.get(pod_id).map(|pod| pod.places.as_slice()).unwrap_or_default();
        places.iter().map(crate::member::Place::wish).collect()
    }

    /// Checks that the kernel still has the bridges, their addresses and ports, and the table, and makes what is missing;
    /// removes interfaces that belong to nobody.
    ///
    /// # Errors
    /// The first failure, which [`degraded`](Self::degraded) reports, too; the next check retries.
    pub async fn reconcile(&self) -> Result<()> {
        reconcile::reconcile(&self.state).await
    }

    /// What is wrong: records that cannot be used, and what could not be repaired on the node. `None` when all is well.
    pub fn degraded(&self) -> Option<String> {
        reconcile::degraded(&self.state)
    }

    /// Counts up with each change of networks or of places in them.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.state.changes()
    }
}
