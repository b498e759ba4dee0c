// SPDX-License-Identifier: Apache-2.0
//! Which pod has which address and which host ports: memory only, one short lock, never blocks.
//!
//! A pod of the built-in network reserves both ([`reserve`]). A pod whose addresses come from elsewhere reserves its host
//! ports before it has any ([`elsewhere`]). They enter and leave the table ([`publish`], whose order [`publication`]
//! keeps), and the pod is forgotten when it is gone.

mod adopt;
mod elsewhere;
mod hold;
mod lease;
mod publication;
mod publish;
mod reserve;

pub use lease::{Lease, LivePod, Mapper};

use crate::addresses::Addresses;
use crate::binding::{Binding, Place};
use crate::host_ends::Home;
use crate::names;
use crate::ports::HostPort;
use crate::reservation::Reservation;
use ipnet::IpNet;
use publication::Publication;
use std::collections::HashMap;
use std::net::IpAddr;

/// The pods of the node that have an address or a host port of ours.
#[derive(Debug, Default)]
pub struct Pods {
    /// The addresses of the built-in network; `None` before it has a subnet.
    addresses: Option<Addresses>,
    by_id: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Whether it is in the built-in network.
    from_pool: bool,
    /// `None`: an address from elsewhere, or of an earlier subnet, which is no longer allocated from.
    number: Option<u32>,
    ips: Vec<IpAddr>,
    mapper: Mapper,
    host_ports: Vec<HostPort>,
    bindings: Vec<Binding>,
    held: Vec<(Place, Reservation)>,
    publication: Publication,
}

impl Pods {
    /// Whether no pod of the built-in network has a reservation.
    pub fn is_empty(&self) -> bool {
        !self.by_id.values().any(|entry| entry.from_pool)
    }

    /// Whether the table has something to hold.
    pub fn need_table(&self) -> bool {
        self.by_id.values().any(Entry::needs_table)
    }

    /// Counts the pods with an address of the built-in network, and all host ports that are reserved.
    pub fn count(&self) -> (usize, usize) {
        let in_pool = self.by_id.values().filter(|entry| entry.from_pool).count();
        (in_pool, self.by_id.values().map(|entry| entry.held.len()).sum())
    }

    /// Allocates from these addresses from now on, unless pods have some of others.
    pub fn use_addresses(&mut self, fresh: Addresses) {
        if self.is_empty() && self.gateways() != fresh.gateways() {
            self.addresses = Some(fresh);
        }
    }

    /// Gives the next pod a random free address, and ascending ones from there.
    pub fn go_on_anywhere(&mut self) {
        self.addresses.iter_mut().for_each(Addresses::go_on_anywhere);
    }

    /// Forgets the built-in network's addresses, of which no pod has one.
    pub fn drop_addresses(&mut self) {
        self.addresses = None;
    }

    /// The bridge's addresses.
    pub fn gateways(&self) -> Vec<IpNet> {
        self.addresses.as_ref().map(Addresses::gateways).unwrap_or_default()
    }

    /// Host ends of all pods of the built-in network, with the addresses behind them.
    pub fn homes(&self) -> Vec<Home> {
        let of = |(id, entry): (&String, &Entry)| Home { interface: names::host_interface(id), ips: entry.ips.clone() };
        self.by_id.iter().filter(|(_, entry)| entry.from_pool).map(of).collect()
    }

    /// Host interfaces of all pods of the built-in network.
    pub fn host_interfaces(&self) -> Vec<String> {
        let in_pool = self.by_id.iter().filter(|(_, entry)| entry.from_pool);
        in_pool.map(|(id, _)| names::host_interface(id)).collect()
    }
}

impl Entry {
    fn needs_table(&self) -> bool {
        self.from_pool || self.publication.may_be_in_table() || (self.mapper == Mapper::Gorae && !self.held.is_empty())
    }

    fn let_go(&mut self) {
        self.host_ports.clear();
        self.bindings.clear();
        self.held.clear();
        self.publication = Publication::Reserved;
    }
}

#[cfg(test)]
mod tests;
