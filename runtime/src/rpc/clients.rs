// SPDX-License-Identifier: Apache-2.0
//! Who is connected to the socket, and how much of the daemon each client holds.
//!
//! Nobody is turned away, for who comes last may be kubelet. When there is too much of something, a connection ends that
//! needs it least: of too many connections the one that has been quiet for longest, if possible one without a request;
//! of too many requests, or too many bytes of them, the one that holds most.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

/// What all clients together may hold.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections.
    pub connections: usize,
    /// Requests that are not answered yet.
    pub requests: usize,
    /// Bytes of these requests and of answers on their way.
    pub bytes: usize,
}

impl Default for Bounds {
    /// kubelet has four connections, as many requests as it has workers, and messages of a few kilobytes; the largest
    /// message has 16 MiB.
    fn default() -> Self {
        Self { connections: 256, requests: 2048, bytes: 128 << 20 }
    }
}

/// Everyone who is connected.
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
    /// When it last said something, and when its last request ended: milliseconds since `clients.begun`.
    spoke: AtomicU64,
    idle_since: AtomicU64,
    leaving: AtomicBool,
    waker: AtomicWaker,
}

impl Clients {
    /// Nobody yet.
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            begun: Instant::now(),
            connected: Mutex::default(),
            requests: AtomicUsize::default(),
            bytes: AtomicUsize::default(),
        })
    }

    /// Takes one in; it is to be [dismissed](Self::dismiss) when its connection ends.
    pub fn admit(self: &Arc<Self>) -> Arc<Client> {
        let now = self.now();
        let client = Arc::new(Client {
            clients: self.clone(),
            requests: AtomicUsize::default(),
            bytes: AtomicUsize::default(),
            spoke: now.into(),
            idle_since: now.into(),
            leaving: AtomicBool::default(),
            waker: AtomicWaker::default(),
        });
        let mut connected = self.connected();
        let there = connected.iter().filter(|c| !c.is_leaving());
        if there.clone().count() >= self.bounds.connections
            && let Some(quiet) = there.min_by_key(|c| (c.has_requests(), c.spoke.load(Ordering::Relaxed)))
        {
            quiet.leave("there are too many connections, and it has been quiet for longest");
        }
        connected.push(client.clone());
        client
    }

    /// Forgets one.
    pub fn dismiss(&self, client: &Arc<Client>) {
        self.connected().retain(|c| !Arc::ptr_eq(c, client));
    }

    /// How many are connected.
    pub fn count(&self) -> usize {
        self.connected().len()
    }

    fn connected(&self) -> MutexGuard<'_, Vec<Arc<Client>>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Ends the connection that holds most of something, if they hold too much without those that are ending already.
    fn end_largest(&self, most: usize, what: &str, held: impl Fn(&Client) -> usize) {
        let connected = self.connected();
        let there = connected.iter().filter(|c| !c.is_leaving());
        if there.clone().map(|c| held(c)).sum::<usize>() > most
            && let Some(largest) = there.max_by_key(|c| held(c))
        {
            largest.leave(what);
        }
    }
}

impl Client {
    /// A request begins.
    pub fn open(self: &Arc<Self>) -> Open {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let most = self.clients.bounds.requests;
        if self.clients.requests.fetch_add(1, Ordering::Relaxed) >= most {
            let held = |c: &Client| c.requests.load(Ordering::Relaxed);
            self.clients.end_largest(most, "there are too many requests, and it holds most of them", held);
        }
        Open { client: self.clone(), bytes: AtomicUsize::default() }
    }

    /// Everyone who is connected beside it.
    pub fn clients(&self) -> &Arc<Clients> {
        &self.clients
    }

    /// It has said something.
    pub fn speaks(&self) {
        self.spoke.store(self.clients.now(), Ordering::Relaxed);
    }

    /// Since when it has no request; `None` while it has.
    pub fn idle_since(&self) -> Option<Instant> {
        let since = Duration::from_millis(self.idle_since.load(Ordering::Relaxed));
        (!self.has_requests()).then_some(self.clients.begun + since)
    }

    fn has_requests(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    /// Asks its connection to end.
    fn leave(&self, why: &str) {
        let requests = self.requests.load(Ordering::Relaxed);
        tracing::warn!(requests, bytes = self.bytes.load(Ordering::Relaxed), why, "a client's connection is ended");
        self.leaving.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether its connection is to end.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Whom to wake when it is.
    pub fn watch(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }
}

/// A request that is not answered yet.
#[derive(Debug)]
pub struct Open {
    client: Arc<Client>,
    bytes: AtomicUsize,
}

impl Open {
    /// So many bytes of it are held from now on, besides those before.
    pub fn hold(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.client.bytes.fetch_add(bytes, Ordering::Relaxed);
        let clients = &self.client.clients;
        if clients.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > clients.bounds.bytes {
            let held = |c: &Client| c.bytes.load(Ordering::Relaxed);
            let why = "there are too many bytes of requests, and it holds most of them";
            clients.end_largest(clients.bounds.bytes, why, held);
        }
    }

    /// Nothing is held any more of what was.
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
    async fn of_too_many_connections_the_quietest_without_a_request_goes() {
        let clients = clients(3, 9, 9);
        let mut there = Vec::new();
        for _ in 0..3 {
            there.push(clients.admit());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let _request = there[0].open();
        there[1].speaks();
        there.push(clients.admit());
        assert!(there.iter().map(|c| c.is_leaving()).eq([false, false, true, false]));
        // It is on its way: the next one finds room again only at another's cost.
        there.push(clients.admit());
        assert!(there.iter().map(|c| c.is_leaving()).eq([false, true, true, false, false]));
        there.iter().for_each(|c| clients.dismiss(c));
        assert!(clients.connected().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_have_requests_the_quietest_goes_and_the_new_one_is_let_in() {
        let clients = clients(2, 9, 9);
        let there = [clients.admit(), clients.admit()];
        let _requests = there.each_ref().map(|c| c.open());
        tokio::time::advance(Duration::from_secs(1)).await;
        there[0].speaks();
        assert!(!clients.admit().is_leaving());
        assert!(there.iter().map(|c| c.is_leaving()).eq([false, true]));
    }

    #[tokio::test]
    async fn of_too_many_requests_and_bytes_the_largest_holder_goes() {
        let clients = clients(9, 4, 100);
        let (greedy, modest) = (clients.admit(), clients.admit());
        let _held: Vec<Open> = (0..4).map(|_| greedy.open()).collect();
        let open = modest.open();
        assert!(greedy.is_leaving() && !modest.is_leaving());
        let other = clients.admit();
        open.hold(40);
        other.open().hold(90);
        assert!(other.is_leaving() && !modest.is_leaving());
        open.hold(70);
        assert!(modest.is_leaving());
        drop(open);
        assert_eq!(clients.bytes.load(Ordering::Relaxed), 0);
    }
}
