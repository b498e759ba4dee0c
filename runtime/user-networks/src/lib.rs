// SPDX-License-Identifier: Apache-2.0
//! Networks that people make: each is a bridge of its own, in which pods reach each other, and nobody else does.
//!
//! This crate owns the definitions of networks and which pod has which address in which of them, both in records, and on
//! the node the bridges, their ports, and one nftables table. The inside of a pod's network namespace belongs to the shim
//! (role `change-networks`). Names of pods are only kept here; who answers for them is another's matter.
//!
//! ```text
//! create ─► record of the network
//! reserve ─► record of the pod ─► attach: table ─► bridge ─► shim ─► … ─► detach: host ends, bridge ─► release: no record
//!                                     connect, disconnect: record ─► the same ─► record
//! ```
//!
//! Invariants:
//! - A network and a pod's addresses are on the disk before anything is made.
//! - A bridge exists while a pod is attached to it, and never without the rules that keep it apart.
//! - An address is given again only after `release`, and after all that were never given.
//! - No lock is held across a call to the shim. Calls for one pod do not overlap: the caller holds that pod's lock.
//!
//! ```text
//! user_networks ── create, remove, reserve, attach, connect, start, reconcile ── settle ── bridge, table, firewalls
//!                                     └── state ── store ── network, member ── definition, subnets, addresses, names
//! ```

#![forbid(unsafe_code)]

mod addresses;
mod attach;
mod bridge;
mod choose;
mod config;
mod connect;
mod create;
mod definition;
mod error;
mod facts;
mod firewalls;
mod member;
mod names;
mod network;
mod options;
mod reconcile;
mod remove;
mod reserve;
mod rules;
mod settle;
mod start;
mod state;
mod store;
mod subnets;
mod table;
mod user_networks;
mod wish;

pub use config::Config;
pub use definition::{Definition, SubnetWish};
pub use error::{Error, ErrorKind, Result};
pub use member::{Besides, Membership};
pub use network::{Network, Subnet};
pub use user_networks::{Listed, Member, UserNetworks};
pub use wish::Wish;
