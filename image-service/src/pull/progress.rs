// SPDX-License-Identifier: Apache-2.0
//! Pull progress: counters that the work advances and watchers read ten times a second.

use crate::registry::Waits;
use gorae_digest::Digest;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

const TICK: Duration = Duration::from_millis(100);

/// The stage of a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Fetching manifest and config.
    Resolving,
    /// Fetching and unpacking layers.
    Layers,
    /// Syncing data and making it visible.
    Committing,
    /// The image is present.
    Done,
    /// The pull failed or was cancelled.
    Failed,
}

/// One layer of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerProgress {
    /// Digest of the blob.
    pub digest: Digest,
    /// Size of the blob in bytes.
    pub total: u64,
    /// Bytes of the blob received so far.
    pub downloaded: u64,
    /// Bytes of the uncompressed layer processed so far.
    pub unpacked: u64,
    /// Whether the layer is complete.
    pub done: bool,
}

/// A snapshot of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullProgress {
    /// Its stage.
    pub stage: Stage,
    /// Bottom layer first; empty while resolving.
    pub layers: Vec<LayerProgress>,
    /// The host that it waits for and how long it has waited, if the wait is long.
    pub waiting: Option<String>,
}

/// Counters of one layer, shared by the pulls that wait for it.
#[derive(Debug, Default)]
pub struct Counters {
    pub downloaded: AtomicU64,
    pub unpacked: AtomicU64,
    pub done: AtomicBool,
}

/// A layer as shown on the board.
pub type Shown = (Digest, u64, OnceLock<Arc<Counters>>);

/// One pull on the board.
#[derive(Debug)]
pub struct Pull {
    stage: AtomicU8,
    pub layers: OnceLock<Vec<Shown>>,
    pub waits: Arc<Waits>,
}

impl Pull {
    pub fn set(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Release);
    }

    fn look(&self) -> PullProgress {
        let stage = match self.stage.load(Ordering::Acquire) {
            0 => Stage::Resolving,
            1 => Stage::Layers,
            2 => Stage::Committing,
            3 => Stage::Done,
            _ => Stage::Failed,
        };
        let layers = self.layers.get().into_iter().flatten().map(|(digest, total, counters)| {
            let counters = counters.get();
            let read =
                |counter: fn(&Counters) -> &AtomicU64| counters.map_or(0, |c| counter(c).load(Ordering::Relaxed));
            LayerProgress {
                digest: digest.clone(),
                total: *total,
                downloaded: read(|c| &c.downloaded),
                unpacked: read(|c| &c.unpacked),
                done: counters.is_some_and(|c| c.done.load(Ordering::Relaxed)),
            }
        });
        PullProgress { stage, layers: layers.collect(), waiting: self.waits.longest() }
    }
}

/// The pulls in flight, by normalised reference.
#[derive(Debug)]
pub struct Board(watch::Sender<HashMap<String, Arc<Pull>>>);

impl Default for Board {
    fn default() -> Self {
        Self(watch::channel(HashMap::new()).0)
    }
}

/// A pull's entry on the board. Dropping it removes the entry, as failed unless the pull is done.
#[derive(Debug)]
pub struct Posted {
    board: Arc<Board>,
    reference: String,
    pub pull: Arc<Pull>,
}

impl Board {
    /// Puts a pull on the board.
    pub fn post(self: &Arc<Self>, reference: &str) -> Posted {
        let pull = Arc::new(Pull {
            stage: AtomicU8::new(Stage::Resolving as u8),
            layers: OnceLock::new(),
            waits: Arc::default(),
        });
        self.0.send_modify(|pulls| drop(pulls.insert(reference.to_owned(), Arc::clone(&pull))));
        Posted { board: Arc::clone(self), reference: reference.to_owned(), pull }
    }

    /// Follows the current or next pull of a reference.
    pub fn watch(&self, reference: &str) -> Watch {
        Watch { pulls: self.0.subscribe(), reference: reference.to_owned(), pull: None, last: None }
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        if self.pull.stage.load(Ordering::Acquire) != Stage::Done as u8 {
            self.pull.set(Stage::Failed);
        }
        self.board.0.send_modify(|pulls| {
            if pulls.get(&self.reference).is_some_and(|posted| Arc::ptr_eq(posted, &self.pull)) {
                pulls.remove(&self.reference);
            }
        });
    }
}

/// Follows one pull.
#[derive(Debug)]
pub struct Watch {
    pulls: watch::Receiver<HashMap<String, Arc<Pull>>>,
    reference: String,
    pull: Option<Arc<Pull>>,
    last: Option<PullProgress>,
}

impl Watch {
    /// Waits for a change; the first call waits for a pull to begin. Returns `None` after `Done` or `Failed`.
    pub async fn next(&mut self) -> Option<PullProgress> {
        if self.last.as_ref().is_some_and(|last| matches!(last.stage, Stage::Done | Stage::Failed)) {
            return None;
        }
        let pull = match &self.pull {
            Some(pull) => Arc::clone(pull),
            None => {
                let begun = self.pulls.wait_for(|pulls| pulls.contains_key(&self.reference)).await.ok()?;
                let pull = begun.get(&self.reference).cloned()?;
                self.pull.insert(pull).clone()
            }
        };
        loop {
            let now = pull.look();
            if self.last.as_ref() != Some(&now) {
                self.last = Some(now.clone());
                return Some(now);
            }
            tokio::time::sleep(TICK).await;
        }
    }
}
