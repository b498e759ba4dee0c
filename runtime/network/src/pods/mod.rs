// SPDX-License-Identifier: Apache-2.0
//! Which pod has which address and which host ports: memory only, one short lock, never blocks.
//!
//! A pod reserves both ([`reserve`]), its host ports enter and leave the table ([`publish`], whose order
//! [`publication`] keeps), and it is forgotten when it is gone.

mod lease;
mod publication;
mod publish;
mod reserve;

pub use lease::{Lease, LivePod};

use crate::addresses::Addresses;
use crate::binding::Binding;
use crate::names;
use crate::ports::HostPort;
use crate::reservation::Reservation;
use ipnet::IpNet;
use publication::Publication;
use std::collections::HashMap;
use std::net::IpAddr;

/// The pods in the network.
#[derive(Debug)]
pub struct Pods {
    addresses: Addresses,
    by_id: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// `None`: an address of an earlier subnet, which is no longer allocated from.
    number: Option<u32>,
    ips: Vec<IpAddr>,
    host_ports: Vec<HostPort>,
    bindings: Vec<Binding>,
    held: Vec<Reservation>,
    publication: Publication,
}

impl Pods {
    /// Starts without pods.
    pub fn new(addresses: Addresses) -> Self {
        Self { addresses, by_id: HashMap::new() }
    }

    /// Whether no pod has a reservation.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Counts the pods with a reservation, and the host ports that are reserved.
    pub fn count(&self) -> (usize, usize) {
        (self.by_id.len(), self.by_id.values().map(|entry| entry.held.len()).sum())
    }

    /// The bridge's addresses.
    pub fn gateways(&self) -> Vec<IpNet> {
        self.addresses.gateways()
    }

    /// Host interfaces of all pods.
    pub fn host_interfaces(&self) -> Vec<String> {
        self.by_id.keys().map(|id| names::host_interface(id)).collect()
    }
}

impl Entry {
    fn let_go(&mut self) {
        self.host_ports.clear();
        self.bindings.clear();
        self.held.clear();
        self.publication = Publication::Reserved;
    }
}

#[cfg(test)]
mod tests;
