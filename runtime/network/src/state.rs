// SPDX-License-Identifier: Apache-2.0
//! The facts about the network, and the lock for changing it.
//!
//! There are two locks for them. `known` (a plain mutex, held for microseconds) guards the facts; `table` (async, with a
//! deadline) is held while the kernel is being changed, so that changes are serialized. Lock order: table, known.

use crate::addresses::Addresses;
use crate::bridge::Ready;
use crate::config::NetworkConfig;
use crate::error::NetworkError;
use crate::host_ends::Home;
use crate::others::Others;
use crate::pods::{LivePod, Pods};
use crate::record::{self, Record};
use crate::rules::Rules;
use crate::subnets::{Family, Subnets};
use crate::switched::Switched;
use crate::{names, nft};
use ipnet::IpNet;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard};

/// How long one caller waits for the changes of others.
const PATIENCE: Duration = Duration::from_secs(30);

/// The network that all handles share.
#[derive(Debug)]
pub struct State {
    pub config: NetworkConfig,
    pub root: PathBuf,
    /// Whose subnets are left alone when one is chosen.
    pub others: Others,
    /// Any socket: interface names are looked up through it.
    names: UdpSocket,
    known: Mutex<Known>,
    table: AsyncMutex<TableState>,
    /// Locked by the threads that work for [`crate::loopback`], and while they do.
    pub switched: Arc<Mutex<Switched>>,
}

/// The facts. They are read and changed without blocking.
#[derive(Debug, Default)]
pub struct Known {
    pub record: Option<Record>,
    pub pods: Pods,
    pub bridge: Option<Ready>,
    /// Calls of `prepare` in flight: while there are any, the bridge must stay.
    pub preparing: usize,
    /// The pods of the built-in network that lived before this start and are still to be taken over; `None` when that is
    /// done.
    pub owed: Option<Vec<LivePod>>,
    pub bridge_failure: Option<Failure>,
    pub table_failure: Option<Failure>,
    /// Why 127.0.0.1 does not lead to all pods with host ports.
    pub loopback_failure: Option<Failure>,
    /// The interfaces over which 127.0.0.1 leads to pods, by the pod's address.
    pub loopback_ways: HashMap<IpAddr, String>,
    /// Those of them that were looked after, and not touched since.
    pub loopback_on: BTreeSet<String>,
    /// The message for people while a firewall of others drops the traffic of pods.
    pub blocked: Option<String>,
    /// What the last look at bridge and host ends found missing and could not restore.
    pub lost: Vec<String>,
    /// Name of the table that was written last.
    pub table: Option<String>,
    /// The addresses of Services that it holds.
    pub services: BTreeSet<IpAddr>,
}

impl Known {
    /// Whether no pod of the built-in network has a reservation, and none is about to make one.
    pub fn is_unused(&self) -> bool {
        let none_owed = self.owed.as_ref().is_none_or(Vec::is_empty);
        self.preparing == 0 && none_owed && self.pods.is_empty()
    }

    /// Host ends of all pods, including those that are still to be taken over.
    pub fn homes(&self) -> Vec<Home> {
        let mut all = self.pods.homes();
        let of = |pod: &LivePod| Home { interface: names::host_interface(&pod.pod_id), ips: pod.ips.clone() };
        all.extend(self.owed.iter().flatten().map(of));
        all
    }

    /// Restores the reservations of the pods that lived before this start.
    pub fn adopt_owed(&mut self) {
        let Some(live) = self.owed.take() else { return };
        self.adopt(&live);
        // A pod may have ended around the start: its address must not be the next one's.
        self.pods.go_on_anywhere();
    }

    /// Restores the reservations of these pods.
    pub fn adopt(&mut self, live: &[LivePod]) {
        for pod in live {
            for odd in self.pods.adopt(pod) {
                tracing::warn!(pod_id = pod.pod_id, "network: {odd}");
            }
        }
    }
}

/// The last failure of an operation that is retried, for conditions.
#[derive(Debug, Clone)]
pub struct Failure {
    pub message: String,
    pub at: Instant,
}

impl Failure {
    pub fn new(error: &NetworkError) -> Self {
        Self { message: error.to_string(), at: Instant::now() }
    }
}

/// The state of the table after our last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableState {
    /// Nothing written yet, or a change failed: the whole table must be written.
    Unknown,
    /// It has our chains; elements can be added and removed.
    Written,
}

/// The right to change bridge and table.
pub type TableGuard<'a> = AsyncMutexGuard<'a, TableState>;

impl State {
    /// Checks the configuration and reads the record. A record that cannot be read is set aside: as long as pods live,
    /// the bridge holds the same facts. If the record belongs to another program, it stays where it is, and the start
    /// fails.
    ///
    /// # Errors
    /// [`NetworkError::Config`], [`NetworkError::SubnetTooSmall`], [`NetworkError::ForeignRecord`].
    pub fn open(config: NetworkConfig, root: &Path, others: Others) -> Result<Self, NetworkError> {
        config.check()?;
        let record = match record::load(root) {
            Ok(record) => record,
            Err(foreign @ NetworkError::ForeignRecord(_)) => return Err(foreign),
            Err(error) => {
                tracing::error!(%error, "cannot use the network record; setting it aside as network.damaged");
                if let Err(error) = record::set_aside(root) {
                    tracing::error!(%error, "cannot set the network record aside; it will be replaced");
                }
                None
            }
        };
        let switched = Arc::new(Mutex::new(Switched::load(root)?));
        let names = UdpSocket::bind("127.0.0.1:0").or_else(|_| UdpSocket::bind("[::1]:0"));
        let names = names.map_err(|source| NetworkError::Netlink { what: "open", object: "socket".into(), source })?;
        let table_failure = (!nft::is_installed()).then(|| Failure::new(&nft::NftError::Missing.into()));
        let known = Mutex::new(Known { record, table_failure, ..Known::default() });
        let table = AsyncMutex::new(TableState::Unknown);
        Ok(Self { config, root: root.to_owned(), others, names, known, table, switched })
    }

    /// Locks the facts. Do not make a blocking call under this lock.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        // A panic under this lock leaves no half-made change behind: every change is one assignment.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads or changes the pods.
    pub fn with_pods<T>(&self, f: impl FnOnce(&mut Pods) -> T) -> T {
        f(&mut self.known().pods)
    }

    /// The rules of the table as it should be. Its name is recorded with the network; a node whose pods are all in a CNI
    /// network has no record.
    pub fn rules(&self) -> Rules {
        let known = self.known();
        let record = known.record.as_ref();
        Rules {
            name: record.map_or_else(|| self.table_without_record(), |record| record.table.clone()),
            masqueraded: record.map(|record| self.masqueraded(record)).unwrap_or_default(),
            services: known.services.clone(),
        }
    }

    fn masqueraded(&self, record: &Record) -> Vec<IpNet> {
        record.subnets.in_order().into_iter().filter(|net| self.config.masquerade.includes(net)).collect()
    }

    /// The subnets of the built-in network's pods; none before they are decided on.
    pub fn subnets(&self) -> Vec<IpNet> {
        self.known().record.as_ref().map(|record| record.subnets.in_order()).unwrap_or_default()
    }

    /// The same, and those that its pods are to have: configured ones, and a pod CIDR that waits.
    pub fn reserved_subnets(&self) -> Vec<IpNet> {
        let configured = Subnets::new(self.config.subnet, self.config.subnet6, Family::V4);
        let known = self.known();
        let recorded = known.record.iter().flat_map(|record| std::iter::once(record.subnets).chain(record.wanted));
        let mut all: Vec<IpNet> = Vec::new();
        for net in recorded.chain([configured]).flat_map(|subnets| subnets.in_order()) {
            if !all.contains(&net) {
                all.push(net);
            }
        }
        all
    }

    /// Name of the table as long as there is no record.
    pub fn table_without_record(&self) -> String {
        names::table(&names::bridge(&self.root, 0))
    }

    /// Waits for the right to change bridge and table.
    ///
    /// # Errors
    /// [`NetworkError::Busy`].
    pub async fn table(&self) -> Result<TableGuard<'_>, NetworkError> {
        let late = NetworkError::Busy { seconds: PATIENCE.as_secs() };
        tokio::time::timeout(PATIENCE, self.table.lock()).await.map_err(|_| late)
    }

    /// The same without waiting; `None` while another caller holds it.
    pub fn table_if_free(&self) -> Option<TableGuard<'_>> {
        self.table.try_lock().ok()
    }

    /// Whether the interface of that name is still the bridge that we created.
    pub fn is_made(&self) -> bool {
        let known = self.known();
        let (Some(ready), Some(record)) = (known.bridge, &known.record) else { return false };
        rustix::net::netdevice::name_to_index(&self.names, &record.bridge) == Ok(ready.index)
    }

    /// Whether there is an interface of that name.
    pub fn has_interface(&self, name: &str) -> bool {
        rustix::net::netdevice::name_to_index(&self.names, name).is_ok()
    }

    /// Starts with no pods in a record's subnet, unless that one is already in use.
    ///
    /// # Errors
    /// [`NetworkError::SubnetTooSmall`].
    pub fn use_subnet(&self, record: &Record) -> Result<(), NetworkError> {
        let fresh = Addresses::within(record.subnets)?;
        let mut known = self.known();
        known.record = Some(record.clone());
        known.pods.use_addresses(fresh);
        Ok(())
    }
}

/// Runs work that may wait for the kernel's routing lock outside the async threads.
///
/// # Errors
/// Those of `work`; [`NetworkError::Task`] when it panics.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NetworkError> + Send + 'static,
) -> Result<T, NetworkError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(NetworkError::Task))
}
