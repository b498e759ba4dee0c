// SPDX-License-Identifier: Apache-2.0
//! The clients that are connected to the socket, and how much of the daemon's resources each of them holds.
//!
//! No client is turned away, because the newest may be kubelet. When a limit is exceeded, one connection is closed
//! instead. For the limit on connections it is the one that has been quiet for longest, if possible one without a
//! request. For the limits on requests and on bytes it is the one that holds the most.

mod bounds;
pub mod open;

pub use bounds::Bounds;

use futures_util::task::AtomicWaker;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// All connected clients.
#[derive(Debug)]
pub struct Clients {
    bounds: Bounds,
    begun: Instant,
    connected: Mutex<Vec<Arc<Client>>>,
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    clients: Arc<Clients>,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    /// When data last arrived, and when the last request ended: milliseconds since `clients.begun`.
    last_active: AtomicU64,
    idle_since: AtomicU64,
    closing: AtomicBool,
    waker: AtomicWaker,
}

impl Clients {
    /// No client is connected yet.
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            begun: Instant::now(),
            connected: Mutex::default(),
            requests: AtomicUsize::default(),
            bytes: AtomicUsize::default(),
        })
    }

    /// Registers a new client. It has to be [removed](Self::remove) when its connection ends.
    pub fn admit(self: &Arc<Self>) -> Arc<Client> {
        let now = self.now();
        let client = Arc::new(Client {
            clients: self.clone(),
            requests: AtomicUsize::default(),
            bytes: AtomicUsize::default(),
            last_active: now.into(),
            idle_since: now.into(),
            closing: AtomicBool::default(),
            waker: AtomicWaker::default(),
        });
        let mut connected = self.connected();
        let staying = connected.iter().filter(|c| !c.is_closing());
        if staying.clone().count() >= self.bounds.connections
            && let Some(quiet) = staying.min_by_key(|c| (c.has_requests(), c.last_active.load(Ordering::Relaxed)))
        {
            quiet.close("too many connections; this one has been quiet for longest");
        }
        connected.push(client.clone());
        client
    }

    /// Removes a client whose connection has ended.
    pub fn remove(&self, client: &Arc<Client>) {
        self.connected().retain(|c| !Arc::ptr_eq(c, client));
    }

    /// The number of connected clients.
    pub fn count(&self) -> usize {
        self.connected().len()
    }

    fn connected(&self) -> MutexGuard<'_, Vec<Arc<Client>>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Closes the connection that holds the most, if those that are not closing already hold more than `most` in total.
    fn close_largest(&self, most: usize, why: &str, held: impl Fn(&Client) -> usize) {
        let connected = self.connected();
        let staying = connected.iter().filter(|c| !c.is_closing());
        if staying.clone().map(|c| held(c)).sum::<usize>() > most
            && let Some(largest) = staying.max_by_key(|c| held(c))
        {
            largest.close(why);
        }
    }
}

impl Client {
    /// All connected clients, this one included.
    pub fn clients(&self) -> &Arc<Clients> {
        &self.clients
    }

    /// Records that data has arrived.
    pub fn mark_active(&self) {
        self.last_active.store(self.clients.now(), Ordering::Relaxed);
    }

    /// Since when it has had no request in flight; `None` while it has one.
    pub fn idle_since(&self) -> Option<Instant> {
        let since = Duration::from_millis(self.idle_since.load(Ordering::Relaxed));
        (!self.has_requests()).then_some(self.clients.begun + since)
    }

    fn has_requests(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    /// Tells its connection to close.
    fn close(&self, why: &str) {
        let requests = self.requests.load(Ordering::Relaxed);
        tracing::warn!(requests, bytes = self.bytes.load(Ordering::Relaxed), why, "closing a client's connection");
        self.closing.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether its connection has to close.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Sets the waker to call when the connection has to close.
    pub fn set_waker(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }
}

#[cfg(test)]
mod tests;
