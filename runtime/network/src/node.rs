// SPDX-License-Identifier: Apache-2.0
//! The facts behind [`super::Network`], and a pod's way through them. What changes the kernel is in [`super::upkeep`].
//!
//! Two locks. `state` (a plain mutex, held for microseconds) has the facts; `table` (async, with a deadline) is held
//! while the kernel is being changed, so that changes come one after the other. Taken in the order table, state.

use super::pods::{Lease, Pods};
use super::ports::{Binding, HostPort};
use super::record::{self, Record};
use super::{LivePod, NetworkConfig, NetworkError, bridge, conntrack, names, nft, reservation};
use crate::addresses::Addresses;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard};

/// How long one caller waits for the others' changes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The network behind all its handles.
#[derive(Debug)]
pub struct Shared {
    pub(super) config: NetworkConfig,
    pub(super) root: PathBuf,
    /// Any socket: interface names are looked up through it.
    names: UdpSocket,
    state: Mutex<State>,
    table: AsyncMutex<TableState>,
}

/// What is known. Everything here is read and changed without waiting.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) record: Option<Record>,
    pub(super) pods: Option<Pods>,
    pub(super) bridge: Option<bridge::Ready>,
    /// Calls of `prepare` on their way: the bridge may not go.
    pub(super) preparing: usize,
    /// What a start still has to take over: the pods that lived before it, `None` when that is done.
    pub(super) owed: Option<Vec<LivePod>>,
    pub(super) bridge_failure: Option<Failure>,
    pub(super) table_failure: Option<Failure>,
}

impl State {
    /// Whether no pod has something, and none is about to get something.
    pub(super) fn is_unused(&self) -> bool {
        let none_owed = self.owed.as_ref().is_none_or(Vec::is_empty);
        self.preparing == 0 && none_owed && self.pods.as_ref().is_none_or(Pods::is_empty)
    }

    /// Host interfaces of all pods, those that are still to be taken over among them.
    pub(super) fn host_interfaces(&self) -> Vec<String> {
        let mut all = self.pods.as_ref().map(Pods::host_interfaces).unwrap_or_default();
        all.extend(self.owed.iter().flatten().map(|pod| names::host_interface(&pod.pod_id)));
        all
    }
}

/// Something that did not work, for conditions.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) message: String,
    pub(super) at: Instant,
}

/// What we last did to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableState {
    /// Nothing yet, or something failed: it is to be written whole.
    Unknown,
    /// It has our chains; elements can be added and removed.
    Written,
}

/// The right to change bridge and table.
pub(super) type TableGuard<'a> = AsyncMutexGuard<'a, TableState>;

impl Shared {
    /// Checks the configuration and reads the record. A record that cannot be read is set aside: what it said is on
    /// the bridge too, as long as pods live. One of another program stays, and nothing starts.
    pub(super) fn open(config: NetworkConfig, root: &Path) -> Result<Self, NetworkError> {
        config.check()?;
        let record = match record::load(root) {
            Ok(record) => record,
            Err(foreign @ NetworkError::ForeignRecord(_)) => return Err(foreign),
            Err(error) => {
                tracing::error!(%error, "it is set aside");
                record::set_aside(root);
                None
            }
        };
        let names = UdpSocket::bind("127.0.0.1:0").or_else(|_| UdpSocket::bind("[::1]:0"));
        let names = names.map_err(|source| NetworkError::Netlink { what: "open", object: "socket".into(), source })?;
        let table_failure = (!nft::is_installed()).then(|| Failure::new(&nft::NftError::Missing.into()));
        let state = Mutex::new(State { record, table_failure, ..State::default() });
        Ok(Self { config, root: root.to_owned(), names, state, table: AsyncMutex::new(TableState::Unknown) })
    }

    /// See [`super::Network::prepare`]: the bridge's name, the MTU and the pod's lease.
    pub(super) async fn prepare(
        self: &Arc<Self>,
        pod_id: &str,
        host_ports: &[HostPort],
    ) -> Result<(String, u32, Lease), NetworkError> {
        let _preparing = self.preparing();
        if !self.is_made() || (!host_ports.is_empty() && self.state().table_failure.is_some()) {
            let mut table = self.table().await?;
            if !self.is_made() {
                self.make(&mut table).await?;
            }
            if *table == TableState::Unknown && !host_ports.is_empty() {
                self.write_table(&mut table).await?;
            }
        }
        match self.reserve(pod_id, host_ports) {
            Err(NetworkError::HostPortTaken { binding, holder }) => Err(find_holder(binding, holder).await),
            other => other,
        }
    }

    fn reserve(&self, pod_id: &str, host_ports: &[HostPort]) -> Result<(String, u32, Lease), NetworkError> {
        let mut state = self.state();
        let State { record: Some(record), pods: Some(pods), bridge: Some(bridge), .. } = &mut *state else {
            return Err(NetworkError::NotMade);
        };
        let lease = pods.reserve(pod_id, host_ports)?;
        Ok((record.bridge.clone(), bridge.mtu, lease))
    }

    /// See [`super::Network::publish`].
    pub(super) async fn publish(&self, pod_id: &str) -> Result<(), NetworkError> {
        let not_prepared = || Err(NetworkError::NotPrepared { pod_id: pod_id.into() });
        let bindings = self.with_pods(|pods| pods.want(pod_id)).unwrap_or_else(not_prepared)?;
        if bindings.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.change_table(|table| table.add(&bindings)).await {
            self.with_pods(|pods| pods.unwant(pod_id));
            return Err(error);
        }
        if let Err(error) = blocking(move || conntrack::forget_udp(&bindings)).await {
            tracing::debug!(pod_id, %error, "after opening host ports");
        }
        Ok(())
    }

    /// See [`super::Network::withdraw`].
    pub(super) async fn withdraw(&self, pod_id: &str) -> Result<(), NetworkError> {
        let bindings = self.with_pods(|pods| pods.unwant(pod_id)).unwrap_or_default();
        if bindings.is_empty() {
            return Ok(());
        }
        self.change_table(|table| table.delete(&bindings)).await?;
        self.with_pods(|pods| pods.removed(pod_id));
        if let Err(error) = blocking(move || conntrack::forget_udp(&bindings)).await {
            tracing::debug!(pod_id, %error, "after closing host ports");
        }
        Ok(())
    }

    /// See [`super::Network::release`].
    pub(super) fn release(&self, pod_id: &str) {
        self.state().owed.iter_mut().for_each(|live| live.retain(|pod| pod.pod_id != pod_id));
        if self.with_pods(|pods| pods.forget(pod_id)) == Some(false) {
            tracing::warn!(pod_id, "the address stays out of use until the table could be rewritten");
        }
        self.make_way();
    }

    /// See [`super::Network::count`].
    pub(super) fn count(&self) -> (usize, usize) {
        self.state().pods.as_ref().map_or((0, 0), Pods::count)
    }

    /// Whether the bridge that we made is still the interface of that name.
    pub(super) fn is_made(&self) -> bool {
        let state = self.state();
        let (Some(ready), Some(record)) = (state.bridge, &state.record) else { return false };
        rustix::net::netdevice::name_to_index(&self.names, &record.bridge) == Ok(ready.index)
    }

    /// Starts with no pods in a record's subnet, unless it already is the one that is used.
    pub(super) fn use_subnet(&self, record: &Record) -> Result<(), NetworkError> {
        let fresh = Pods::new(Addresses::new(record.subnet, record.subnet6)?);
        let mut state = self.state();
        state.record = Some(record.clone());
        match &state.pods {
            Some(pods) if !pods.is_empty() || pods.gateways() == fresh.gateways() => {}
            _ => state.pods = Some(fresh),
        }
        Ok(())
    }

    fn preparing(self: &Arc<Self>) -> Preparing {
        self.state().preparing += 1;
        Preparing(self.clone())
    }

    pub(super) fn with_pods<T>(&self, f: impl FnOnce(&mut Pods) -> T) -> Option<T> {
        self.state().pods.as_mut().map(f)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held left whole values behind: every change is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn table(&self) -> Result<TableGuard<'_>, NetworkError> {
        let late = NetworkError::Busy { seconds: PATIENCE.as_secs() };
        tokio::time::timeout(PATIENCE, self.table.lock()).await.map_err(|_| late)
    }

    pub(super) fn table_if_free(&self) -> Option<TableGuard<'_>> {
        self.table.try_lock().ok()
    }
}

/// A `prepare` on its way.
struct Preparing(Arc<Shared>);

impl Drop for Preparing {
    fn drop(&mut self) {
        self.0.state().preparing -= 1;
    }
}

impl Failure {
    pub(super) fn new(error: &NetworkError) -> Self {
        Self { message: error.to_string(), at: Instant::now() }
    }
}

/// Puts the name of the process that has the port into the error, when it can be found.
async fn find_holder(binding: Binding, holder: String) -> NetworkError {
    let holder = match holder.as_str() {
        reservation::SOME_PROCESS => {
            blocking(move || Ok(reservation::holder(&binding))).await.ok().flatten().unwrap_or(holder)
        }
        _ => holder,
    };
    NetworkError::HostPortTaken { binding, holder }
}

/// Runs what may wait for the kernel's routing lock outside the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NetworkError> + Send + 'static,
) -> Result<T, NetworkError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(NetworkError::Task))
}
