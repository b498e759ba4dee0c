// SPDX-License-Identifier: Apache-2.0
//! The name server of containers in user networks.
//!
//! It knows three types of record (A, AAAA, PTR) of the containers of a node, and passes everything else on to the
//! servers of the host, as bytes that it does not look into. So it reads no more of a message than its header, one
//! question, and the size that the sender can take.
//!
//! ```text
//! client's socket ─ query ─ decide ┬ table ─ answer ───────────────► client
//!                                  └ responder/relay ═ server ═ reply ┘
//! ```
//!
//! Everything but [`Responder`] is plain data without I/O. The responder has sockets only, no files; it never waits, and
//! whoever runs it waits for its descriptor. It answers on the sockets that it was given, and nowhere else.
//!
//! Clients and servers are hostile. What one of them can make this process hold or do is bounded, per client and in all.

#![forbid(unsafe_code)]

mod answer;
mod bucket;
mod counters;
mod decide;
mod framed;
mod name;
mod poll;
mod query;
mod random;
mod reply;
mod responder;
mod reverse;
mod table;

pub use answer::{Records, answer, refusal};
pub use counters::{ClientCounters, Counters};
pub use decide::{Outside, Transport, Verdict, decide};
pub use name::{Name, NameError};
pub use query::{Edns, Query, Unusable, rcode};
pub use random::Random;
pub use reply::{Reply, judge, with_id};
pub use responder::{OwnServers, Responder, Upstream};
pub use reverse::address_of;
pub use table::{Found, Member, Network, Table, View};
