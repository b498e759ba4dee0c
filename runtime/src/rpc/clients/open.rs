// SPDX-License-Identifier: Apache-2.0
//! A request in flight, and the bytes that are held for it.

use super::Client;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A request in flight.
#[derive(Debug)]
pub struct Open {
    client: Arc<Client>,
    bytes: AtomicUsize,
}

impl Open {
    /// Registers a request of a client that begins.
    pub fn begin(client: &Arc<Client>) -> Self {
        let clients = client.clients();
        client.requests.fetch_add(1, Ordering::Relaxed);
        let most = clients.bounds.requests;
        if clients.requests.fetch_add(1, Ordering::Relaxed) >= most {
            let held = |c: &Client| c.requests.load(Ordering::Relaxed);
            clients.close_largest(most, "too many requests; this client has the most", held);
        }
        Self { client: client.clone(), bytes: AtomicUsize::default() }
    }

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
