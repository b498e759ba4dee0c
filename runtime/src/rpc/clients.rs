// SPDX-License-Identifier: Apache-2.0
//! The clients that are connected to the socket, and how much of the daemon's resources each of them holds.
//!
//! No client is turned away, because the newest may be kubelet. When a limit is exceeded, one connection is closed
//! instead. For the limit on connections it is the one that has been quiet for longest, if possible one without a
//! request. For the limits on requests and on bytes it is the one that holds the most.

use futures_util::task::AtomicWaker;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Limits on what all clients may hold together.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections.
    pub connections: usize,
    /// Requests in flight.
    pub requests: usize,
    /// Bytes of these requests and of the responses that are being sent.
    pub bytes: usize,
}

impl Default for Bounds {
    /// kubelet has four connections, as many requests as it has workers, and messages of a few kilobytes. The largest
    /// message is 16 MiB.
    fn default() -> Self {
        Self { connections: 256, requests: 2048, bytes: 128 << 20 }
    }
}

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
    /// Registers a request that begins.
    pub fn open(self: &Arc<Self>) -> Open {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let most = self.clients.bounds.requests;
        if self.clients.requests.fetch_add(1, Ordering::Relaxed) >= most {
            let held = |c: &Client| c.requests.load(Ordering::Relaxed);
            self.clients.close_largest(most, "too many requests; this client has the most", held);
        }
        Open { client: self.clone(), bytes: AtomicUsize::default() }
    }

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

/// A request in flight.
#[derive(Debug)]
pub struct Open {
    client: Arc<Client>,
    bytes: AtomicUsize,
}

impl Open {
    /// Counts more bytes that are held for this request.
    pub fn hold(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.client.bytes.fetch_add(bytes, Ordering::Relaxed);
        let clients = &self.client.clients;
        if clients.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > clients.bounds.bytes {
            let held = |c: &Client| c.bytes.load(Ordering::Relaxed);
            let why = "requests hold too many bytes; those of this client hold the most";
            clients.close_largest(clients.bounds.bytes, why, held);
        }
    }

    /// Stops counting the bytes that were held so far.
    pub fn release(&self) {
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        self.client.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.client.clients.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.release();
        let client = &self.client;
        client.idle_since.store(client.clients.now(), Ordering::Relaxed);
        client.requests.fetch_sub(1, Ordering::Relaxed);
        client.clients.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(connections: usize, requests: usize, bytes: usize) -> Arc<Clients> {
        Clients::new(Bounds { connections, requests, bytes })
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_connections_the_quietest_without_a_request_is_closed() {
        let clients = clients(3, 9, 9);
        let mut admitted = Vec::new();
        for _ in 0..3 {
            admitted.push(clients.admit());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let _request = admitted[0].open();
        admitted[1].mark_active();
        admitted.push(clients.admit());
        assert!(admitted.iter().map(|c| c.is_closing()).eq([false, false, true, false]));
        // The closing one no longer counts, so the next connection closes one more.
        admitted.push(clients.admit());
        assert!(admitted.iter().map(|c| c.is_closing()).eq([false, true, true, false, false]));
        admitted.iter().for_each(|c| clients.remove(c));
        assert!(clients.connected().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_have_requests_the_quietest_is_closed_and_the_new_one_is_admitted() {
        let clients = clients(2, 9, 9);
        let admitted = [clients.admit(), clients.admit()];
        let _requests = admitted.each_ref().map(|c| c.open());
        tokio::time::advance(Duration::from_secs(1)).await;
        admitted[0].mark_active();
        assert!(!clients.admit().is_closing());
        assert!(admitted.iter().map(|c| c.is_closing()).eq([false, true]));
    }

    #[tokio::test]
    async fn of_too_many_requests_or_bytes_the_largest_holder_is_closed() {
        let clients = clients(9, 4, 100);
        let (greedy, modest) = (clients.admit(), clients.admit());
        let _held: Vec<Open> = (0..4).map(|_| greedy.open()).collect();
        let open = modest.open();
        assert!(greedy.is_closing() && !modest.is_closing());
        let other = clients.admit();
        open.hold(40);
        other.open().hold(90);
        assert!(other.is_closing() && !modest.is_closing());
        open.hold(70);
        assert!(modest.is_closing());
        drop(open);
        assert_eq!(clients.bytes.load(Ordering::Relaxed), 0);
    }
}
