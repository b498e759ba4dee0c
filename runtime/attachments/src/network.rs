// SPDX-License-Identifier: Apache-2.0
//! The CNI network of the node: which one it is now, and whether pods can be attached to it.

use crate::attachments::Attachments;
use crate::collection::Collection;
use crate::readiness::Readiness;
use crate::runner::Runner;
use gorae_cni::chain::{self, Caller};
use gorae_cni::directory::{Chosen, Directory, Found};
use gorae_cni::{programs, watch as following};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long the node's start waits for the network's first word.
const AT_START: Duration = Duration::from_millis(500);
/// How often the network is asked whether it is well.
const EVERY: Duration = Duration::from_secs(5);

/// Where the network's configuration and its plugins are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The directories of configurations, and the name of the network if it is configured.
    pub configuration: Directory,
    /// Where plugins' programs are, in order.
    pub plugins: Vec<PathBuf>,
}

/// The CNI network of the node. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct CniNetwork {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    places: Places,
    attachments: Attachments,
    found: watch::Receiver<Found>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    readiness: Readiness,
    /// The last network that could be read.
    last: Option<Arc<Chosen>>,
    /// What is known of its GC.
    collection: Collection,
}

impl CniNetwork {
    /// Reads the configuration, and follows it from now on.
    pub async fn open(places: Places, attachments: Attachments) -> Self {
        let found = following::follow(places.configuration.clone(), places.plugins.clone()).await;
        let state = State { places, attachments, found, known: Mutex::default() };
        let this = Self { state: Arc::new(state) };
        // A plugin that hangs must not keep the node from starting.
        let found = this.found();
        let _ = tokio::time::timeout(AT_START, this.look(&found)).await;
        this
    }

    /// Asks the network whether it is well, every few seconds and whenever its configuration changes, until it is aborted.
    /// `pods` has the files of the network namespaces of all pods of this node, for [GC](Attachments::collect).
    pub async fn watch(&self, pods: impl Fn() -> HashSet<PathBuf>) {
        let mut found = self.state.found.clone();
        loop {
            let now = found.borrow_and_update().clone();
            self.look(&now).await;
            if let (Found::Network(chosen), Ok(())) = (&now, self.status()) {
                self.collect(chosen, &pods).await;
            }
            tokio::select! {
                Ok(()) = found.changed() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Pays what is owed to networks, until it is aborted.
    pub async fn settle(&self) {
        let is_configured = |network: &str| match &*self.state.found.borrow() {
            Found::Network(chosen) => chosen.list.name == network,
            // Nobody knows what it is about.
            Found::Broken { .. } => true,
            Found::Nothing => false,
        };
        self.state.attachments.settle(is_configured).await;
    }

    /// The attachments of the node.
    pub fn attachments(&self) -> &Attachments {
        &self.state.attachments
    }

    /// Where plugins' programs are.
    pub fn plugins(&self) -> &[PathBuf] {
        &self.state.places.plugins
    }

    /// Whether there is a configuration that can be used.
    pub fn is_configured(&self) -> bool {
        matches!(&*self.state.found.borrow(), Found::Network(_))
    }

    /// Why the configuration that is there cannot be used, if that is so.
    pub fn broken(&self) -> Option<String> {
        match &*self.state.found.borrow() {
            found @ Found::Broken { .. } => Some(self.words(found)),
            _ => None,
        }
    }

    /// The network to attach a pod to: the present one, or, while the node still counts as ready, the last one that could
    /// be read.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn current(&self) -> Result<Arc<Chosen>, String> {
        match &*self.state.found.borrow() {
            Found::Network(chosen) => Ok(chosen.clone()),
            other => {
                let known = self.state.known();
                match (&known.last, known.readiness.at(Instant::now())) {
                    (Some(last), Ok(())) => Ok(last.clone()),
                    _ => Err(self.words(other)),
                }
            }
        }
    }

    /// Whether the node is ready as far as its network is concerned.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn status(&self) -> Result<(), String> {
        self.state.known().readiness.at(Instant::now()).map_err(str::to_owned)
    }

    /// What is wrong, even if the node still counts as ready.
    pub fn degraded(&self) -> Option<String> {
        let failing = self.state.known().readiness.failing().map(str::to_owned);
        failing.or_else(|| match &*self.state.found.borrow() {
            Found::Network(chosen) => chosen.shadowed.first().map(|file| {
                let (file, name) = (file.display(), &chosen.list.name);
                format!("{file} has no effect: {} is of the same network {name:?}", chosen.file.display())
            }),
            _ => None,
        })
    }

    fn found(&self) -> Found {
        self.state.found.borrow().clone()
    }

    /// Asks the network and notes what it says.
    async fn look(&self, found: &Found) {
        let seen = match found {
            Found::Network(chosen) => self.ask(chosen).await,
            other => Err(self.words(other)),
        };
        let turned_well = {
            let mut known = self.state.known();
            if let Found::Network(chosen) = found {
                known.last = Some(chosen.clone());
            }
            known.readiness.note(Instant::now(), seen)
        };
        if let (true, Found::Network(chosen)) = (turned_well, found) {
            tracing::info!(network = chosen.list.name, file = %chosen.file.display(), "the CNI network is ready");
            self.state.attachments.hasten(&[chosen.list.name.clone()].into());
        }
    }

    /// Whether the plugins are installed and say that they are ready.
    async fn ask(&self, chosen: &Chosen) -> Result<(), String> {
        let plugins = &self.state.places.plugins;
        let runner = Runner::new(self.state.attachments.all.spawner.clone(), "status", None);
        let caller = Caller { run: &runner, directories: plugins };
        caller.are_there(&chosen.list).await.map_err(|error| format!("{}: {error}", chosen.file.display()))?;
        let asked = chain::status(&caller, &chosen.list).await;
        asked.map_err(|error| format!("network {:?}: {error}", chosen.list.name))
    }

    /// Asks each network for GC once in the life of the daemon, as soon as that is possible.
    async fn collect(&self, chosen: &Chosen, pods: impl Fn() -> HashSet<PathBuf>) {
        let list = &chosen.list;
        if self.state.known().collection.is_due(list, Instant::now()) {
            let outcome = self.state.attachments.collect(list, &self.state.places.plugins, pods).await;
            self.state.known().collection.note(list, Instant::now(), &outcome);
        }
    }

    fn words(&self, found: &Found) -> String {
        let Directory { paths, network } = &self.state.places.configuration;
        let directories = programs::joined(paths, ", ");
        match (found, network) {
            (Found::Broken { file, why }, _) => format!("{}: {why}", file.display()),
            (_, Some(name)) => {
                format!("no CNI configuration of network {name:?} in {directories}. Has your network provider started?")
            }
            _ => format!("no CNI configuration file in {directories}. Has your network provider started?"),
        }
    }
}

impl State {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
