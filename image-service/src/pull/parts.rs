// SPDX-License-Identifier: Apache-2.0
//! State that all pulls of a node share.

use crate::config::Config;
use crate::error::Error;
use crate::pull::flight::Flights;
use crate::pull::progress::{Board, Counters};
use crate::registry::Common;
use crate::store::{Staged, Store};
use gorae_digest::Digest;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The result that callers of the same layer share.
pub type LayerOutcome = Result<Arc<Staged>, Arc<Error>>;

/// State that all pulls of a node share.
#[derive(Debug)]
pub struct Parts {
    /// The settings.
    pub config: Config,
    /// Where layers and images are stored.
    pub store: Arc<Store>,
    /// Connections to registries, and the hosts that were unreachable.
    pub registries: Common,
    /// Where clients see the progress of pulls.
    pub board: Arc<Board>,
    /// Slots for layers of all pulls that run concurrently.
    pub slots: Semaphore,
    /// Layers in flight, by blob digest and diff id.
    pub layers: Flights<(Digest, Digest), LayerOutcome, Arc<Counters>>,
}

impl Parts {
    /// Opens the store; see [`Store::open`].
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn open(config: Config) -> Result<Self, Error> {
        let store = Arc::new(Store::open(config.root.clone())?);
        let slots = Semaphore::new(config.max_parallel_layers_total.max(1));
        let (registries, board) = (Common::default(), Arc::new(Board::default()));
        Ok(Self { config, store, registries, board, slots, layers: Flights::new() })
    }
}
